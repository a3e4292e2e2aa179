"""The network: functions of arrays and their derivatives, which know neither labels nor estimators.

A network here is always a *stack* of K networks of one shape. All parameters of the stack are one
array ``theta`` of shape (K, n_params), and layers are named views into it. Kernels work on the last
two axes and broadcast over the first, which a stack of one leaves out (see ``arrays.py``).

Names used throughout the package
---------------------------------
=========  ==========================================================================
X          inputs, (K, n, n_features)
y          targets, (K, n, n_outputs)
W, b       weights (K, n_in, n_out) and biases (K, 1, n_out) of a layer
z          pre-activations, z = a W + b, (K, n, n_out)
a          activations, a = f(z); the input of the first layer is X
delta      dLoss/dz
theta      all parameters, (K, n_params): first every W, then every b
grad       dLoss/dtheta
lr         learning rate
=========  ==========================================================================
"""

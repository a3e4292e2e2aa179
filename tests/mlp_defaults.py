"""Our estimators with the constructors of scikit-learn's: their parameters, their defaults."""

from sknn_scratch import (
    MLP_CLASSIFIER_SETTINGS,
    MLP_REGRESSOR_SETTINGS,
    ScratchMLPClassifier,
    ScratchMLPRegressor,
)

#: What MLPClassifier has no parameter for, and how it is there.
WITHOUT_A_CHOICE = {
    name: MLP_CLASSIFIER_SETTINGS[name]
    for name in ("init", "dtype", "scale_features", "loss", "weight_decay", "input_dropout")
}

#: Likewise of MLPRegressor, which has a loss.
WITHOUT_A_CHOICE_OF_NUMBERS = {
    name: MLP_REGRESSOR_SETTINGS[name]
    for name in (
        "init",
        "dtype",
        "scale_features",
        "scale_targets",
        "weight_decay",
        "input_dropout",
    )
}


class MLPDefaults(ScratchMLPClassifier):
    """Stand-in for MLPClassifier that can be set in no way in which MLPClassifier cannot.

    But for the name of the automatic ``batch_size``, which is "at_most_200" here.
    """

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="at_most_200",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
    ):
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            **WITHOUT_A_CHOICE,
        )


class MLPRegressorDefaults(ScratchMLPRegressor):
    """Stand-in for MLPRegressor that can be set in no way in which MLPRegressor cannot.

    But for the name of the automatic ``batch_size``, which is "at_most_200" here.
    """

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="at_most_200",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
    ):
        super().__init__(
            loss=loss,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            **WITHOUT_A_CHOICE_OF_NUMBERS,
        )

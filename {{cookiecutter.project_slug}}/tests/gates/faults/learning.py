"""ML4: the examples that the rules themselves show, and their important variants."""

from __future__ import annotations

from gates.learning.mistakes import RULES

from ..planting import Fault, cell, module

TWO_SETS = "X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=7)\n"
THREE_SETS = "X_train, X_test, X_valid, y_train, y_test, y_valid = split_in_three(X, y)\n"
VARIANTS: tuple[tuple[str, str, str, str], ...] = (
    (
        "ML401",
        "a model is fitted on the validation rows",
        "model.fit(X_train, y_train)\nmodel.fit(X_valid, y_valid)",
        "model.fit(X_train, y_train)\nmodel.score(X_valid, y_valid)",
    ),
    (
        "ML402",
        "an imputer is fitted in a loop over chunks",
        'for chunk in pd.read_csv("data/rows.csv", chunksize=1000):\n'
        "    keep(SimpleImputer().fit_transform(chunk))",
        'for chunk in pd.read_csv("data/rows.csv", chunksize=1000):\n'
        "    keep(imputer.transform(chunk))",
    ),
    (
        "ML403",
        "a scaler is fitted before the split",
        "X_scaled = StandardScaler().fit_transform(X)\n" + TWO_SETS.replace("(X,", "(X_scaled,"),
        TWO_SETS + "X_scaled = StandardScaler().fit_transform(X_train)",
    ),
    (
        "ML403",
        "rows are resampled before the split",
        "X_more, y_more = SMOTE(random_state=7).fit_resample(X, y)\n"
        + TWO_SETS.replace("(X, y,", "(X_more, y_more,"),
        TWO_SETS + "X_train, y_train = SMOTE(random_state=7).fit_resample(X_train, y_train)",
    ),
    (
        "ML404",
        "early stopping by the test rows",
        TWO_SETS + "model = XGBClassifier(early_stopping_rounds=10, random_state=7)\n"
        "model.fit(X_train, y_train, eval_set=[(X_test, y_test)])",
        THREE_SETS + "model = XGBClassifier(early_stopping_rounds=10, random_state=7)\n"
        "model.fit(X_train, y_train, eval_set=[(X_valid, y_valid)])",
    ),
    (
        "ML404",
        "a checkpoint is kept by the test rows",
        TWO_SETS + "network.fit(X_train, y_train, validation_data=(X_test, y_test),\n"
        '            callbacks=[ModelCheckpoint("runs/best.keras", save_best_only=True)])',
        THREE_SETS + "network.fit(X_train, y_train, validation_data=(X_valid, y_valid),\n"
        '            callbacks=[ModelCheckpoint("runs/best.keras", save_best_only=True)])',
    ),
    (
        "ML404",
        "a threshold is tuned on the test rows",
        TWO_SETS + "precision, recall, thresholds = precision_recall_curve(y_test, scored)\n"
        "threshold = thresholds[np.argmax(precision * recall)]",
        THREE_SETS + "precision, recall, thresholds = precision_recall_curve(y_valid, scored)\n"
        "threshold = thresholds[np.argmax(precision * recall)]",
    ),
    (
        "ML405",
        "the seed is in the grid of a search",
        'search = GridSearchCV(model, {"max_depth": [2, 4], "random_state": [1, 2, 3]})',
        'search = GridSearchCV(model, {"max_depth": [2, 4], "random_state": [1]})',
    ),
    (
        "ML406",
        "shuffled folds without a seed",
        "folds = KFold(n_splits=5, shuffle=True)",
        "folds = KFold(n_splits=5, shuffle=True, random_state=7)",
    ),
    (
        "ML408",
        "a training score is printed as a test score",
        'print(f"Test accuracy: {accuracy_score(y_train, model.predict(X_train)):.3f}")',
        'print(f"Training accuracy: {accuracy_score(y_train, model.predict(X_train)):.3f}")',
    ),
    (
        "ML409",
        "a whole network is saved",
        'torch.save(model, "runs/model.pt")',
        'torch.save(model.state_dict(), "runs/model.pt")',
    ),
)
FAULTS = (
    *(Fault(rule.id, rule.what, cell(rule.bad), cell(rule.good)) for rule in RULES),
    *(
        Fault(rule.id, f"{rule.what}, in a module", module(rule.bad), module(rule.good))
        for rule in RULES
    ),
    *(Fault(rule, what, cell(red), cell(green)) for rule, what, red, green in VARIANTS),
)

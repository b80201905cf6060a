"""ML4: variants that are found, and what is like them but right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gates.core.files import Notebook
from gates.core.gate import Context
from gates.core.settings import Settings
from gates.learning.mistakes import check

SPLIT = "X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=1)\n"


def found(code: str) -> set[str]:
    cell = {"cell_type": "code", "metadata": {}, "source": code, "outputs": []}
    text = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    context = Context(Path(), Settings())
    return {each.rule.id for each in check(Notebook(Path("a.ipynb"), text), context)}


WRONG = {
    "ML401": (
        "train.a = scaler.fit_transform(train[['a']])\ntest.a = scaler.fit_transform(test[['a']])",
        "le.fit(train_df.city)\nle.fit(test_df.city.astype(str))",
        SPLIT + "StandardScaler().fit(np.array(X_test))",
        SPLIT + "model.fit(X_test, y_test)",
        SPLIT + "model.fit(X=X_test, y=y_test)",
        SPLIT + "tokenizer.fit_on_texts(X_test)",
        "a, b = train_test_split(rows, random_state=1)\nscaler.fit(a)\nscaler.fit(b)",
        "for train_idx, test_idx in folds.split(X):\n"
        "    scaler.fit(X[train_idx])\n    scaler.fit(X.iloc[test_idx])",
        "class Study:\n    def run(self):\n        self.model.fit(self.x_train)\n"
        "        self.model.fit(self.x_test)",
        "def score(xtrain, ytrain, xtest, ytest):\n    clf.fit(xtest, ytest)",
        SPLIT + "clf.partial_fit(X_test, y_test)\nclf.score(X_test, y_test)",
    ),
    "ML402": (
        "for batch in loader:\n    x = PCA(2).fit_transform(batch['x'])",
        "def f(batch):\n    frame = pd.DataFrame(batch)\n    return scaler.fit_transform(frame)",
        "def f(rows):\n    rows['a'] = MinMaxScaler().fit_transform(rows[['a']])\n    return rows\n"
        "dataset.map_batches(f)",
        "def f(frames):\n    for frame in frames:\n        yield PCA(2).fit_transform(frame)\n"
        "rows.mapInPandas(f, schema)",
        "parts = pd.read_csv('a.csv', chunksize=9)\n"
        "for part in parts:\n    use(CountVectorizer().fit_transform(part.text))",
    ),
    "ML403": (
        "df[['a']] = MinMaxScaler().fit_transform(df[['a']])\nX = df.drop(columns='y')\n" + SPLIT,
        "pca = PCA(2)\npca.fit(X)\nX = pca.transform(X)\n" + SPLIT,
        "scaler = StandardScaler().fit(X)\n" + SPLIT + "X_train = scaler.transform(X_train)",
        SPLIT + "scaler = StandardScaler().fit(X)\nX_train = scaler.transform(X_train)",
        "selector = SelectKBest(k=9).fit(X, y)\nX = X[X.columns[selector.get_support()]]\n" + SPLIT,
        "best = RFE(model).fit_transform(X, y)\nscores = cross_val_score(model, best, y, cv=5)",
        "X_new = SelectKBest(k=9).fit_transform(X, y)\nfolds = KFold(5)\n"
        "for a, b in folds.split(X_new):\n    run(a, b)",
        "scaled = MinMaxScaler().fit_transform(rows)\ntrain, test = scaled[:n], scaled[n:]",
        "rows = RobustScaler().fit_transform(rows)\ntrain = rows[0:n, :]\ntest = rows[n:, :]",
        SPLIT + "both = pd.concat([X_train, X_test])\nTfidfVectorizer().fit(both.text)",
        SPLIT + "SimpleImputer().fit(X_train.append(X_test))",
        "steps = make_pipeline(SimpleImputer(), StandardScaler())\nX = steps.fit_transform(X)\n"
        + SPLIT,
        SPLIT + "X_up, y_up = SMOTE(random_state=1).fit_resample(X_train, y_train)\n"
        "cross_val_score(model, X_up, y_up)",
    ),
    "ML404": (
        SPLIT + "for epoch in range(9):\n    test_acc = evaluate(net, X_test)\n"
        "    if best is None or test_acc > best:\n        best = test_acc",
        "for epoch in range(9):\n    fit(net, train_loader)\n    acc = evaluate(net, test_loader)\n"
        "    best = max(acc, best)",
        SPLIT + "scores = []\nfor k in ks:\n    scores.append(make(k).score(X_test, y_test))\n"
        "k = ks[np.argmax(scores)]",
        SPLIT + "errors = []\nfor k in ks:\n"
        "    errors.append(np.mean(make(k).predict(X_test) != y_test))\n"
        "k = ks[errors.index(min(errors))]",
        SPLIT + "scores = {k: make(k).score(X_test, y_test) for k in ks}\n"
        "k = max(scores, key=scores.get)",
        SPLIT + "best = max(models, key=lambda m: m.score(X_test, y_test))",
        SPLIT + "f1s = [f1_score(y_test, p > t) for t in ts]\nthreshold = ts[np.argmax(f1s)]",
        SPLIT + "watched = [(X_train, y_train), (X_test, y_test)]\n"
        "model.fit(X_train, y_train, eval_set=watched, early_stopping_rounds=5)",
        SPLIT + "dtrain, dtest = xgb.DMatrix(X_train, y_train), xgb.DMatrix(X_test, y_test)\n"
        "xgb.train({}, dtrain, evals=[(dtest, 'test')], early_stopping_rounds=5)",
        SPLIT + "rows = lgb.Dataset(X_test, y_test)\n"
        "lgb.train({}, made, valid_sets=[rows], callbacks=[lgb.early_stopping(5)])",
        SPLIT + "CatBoostClassifier().fit(X_train, y_train, eval_set=(X_test, y_test))",
        SPLIT + "stop = EarlyStopping(patience=3)\nwatch = [stop]\n"
        "model.fit(X_train, y_train, validation_data=(X_test, y_test), callbacks=watch)",
        SPLIT + "def objective(trial):\n    model = make(trial.suggest_int('depth', 1, 9))\n"
        "    model.fit(X_train, y_train)\n"
        "    return accuracy_score(y_test, model.predict(X_test))",
    ),
    "ML405": (
        "for seed in range(9):\n    auc = run(seed)\n    if auc > best:\n        best = auc",
        "for i in range(9):\n"
        "    a, b, c, d = train_test_split(X, y, random_state=i)\n"
        "    score = model.fit(a, c).score(b, d)\n"
        "    if best < score:\n        best, chosen = score, i",
        "for i in range(9):\n    np.random.seed(i)\n    best = max(best, run().accuracy)",
        "best = max(accuracy(run(seed)) for seed in seeds)",
        "scores = []\nfor seed in seeds:\n    scores.append(run(seed).score(x, y))\n"
        "seed = seeds[np.argmax(scores)]",
        "grid = {'model__random_state': range(9)}\nRandomizedSearchCV(model, grid)",
        "def objective(trial):\n    return run(seed=trial.suggest_int('seed', 0, 99))",
    ),
    "ML406": (
        "train, test = train_test_split(df, stratify=df.y)",
        "train, test = train_test_split(df, random_state=None)",
        "from sklearn import model_selection as ms\na, b = ms.train_test_split(df)",
        "StratifiedShuffleSplit(n_splits=3)",
        "GroupShuffleSplit(test_size=0.3)",
        "from torch.utils.data import random_split\na, b = random_split(rows, [8, 2])",
        "import torch\ntorch.utils.data.random_split(rows, [8, 2])",
        "train, test = spark_rows.randomSplit([0.8, 0.2])",
        "a, b = train_test_split(df)\nnp.random.seed(1)",
        "def split(df):\n    return train_test_split(df)",
    ),
    "ML407": (
        "time_col = 'day'\n" + SPLIT,
        "time: str = 'when'\nKFold(5, shuffle=True, random_state=1)",
        "def run(df, group_column='user'):\n    return train_test_split(df, random_state=1)",
        "groups = df['user']\nGroupKFold().split(X, y, groups)\n" + SPLIT,
    ),
    "ML408": (
        "val_accuracy = accuracy_score(y_train, model.predict(X_train))",
        "test_loss, test_acc = model.evaluate(x_train, y_train)",
        "print('Test accuracy:', model.score(X_train, y_train))",
        "print('Accuracy on the test set: {}'.format(model.score(X_train, y_train)))",
        "train_acc = model.score(X_train, y_train)\nprint(f'test score {train_acc:.2f}')",
        "print('Test RMSE: %.2f' % mean_squared_error(y_train, p))",
    ),
    "ML409": (
        "import pickle\npickle.dump(clf, open('a', 'wb'))",
        "import pickle\nwith open('model.pkl', 'rb') as file:\n    loaded = pickle.load(file)",
        "from joblib import dump\ndump(search.best_estimator_, 'a.joblib')",
        "import joblib\nfrom sklearn.svm import SVC\na = SVC().fit(X, y)\njoblib.dump(a, path)",
        "import dill\nclass A:\n    def load(self):\n        self.model = dill.load(self.file)",
        "import torch\ntorch.save(self.model, path)",
        "import cloudpickle\ncloudpickle.dump({'scaler': scaler, 'x': 1}, file)",
    ),
}
RIGHT = (
    # other rows than those that have groups; groups of features
    "X, y = load()\nGroupKFold().split(X, y, groups)\nX, y = make_blobs(9)\n"
    "X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=1)",
    "explainer.fit(X, groups=groups)\n"
    "X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=1)",
    # the name says that they are for validation
    "X_train, X_validate, y_train, y_validate = train_test_split(X, y, random_state=1)\n"
    "CatBoostClassifier().fit(X_train, y_train, eval_set=(X_validate, y_validate))",
    # fits on what they should
    SPLIT + "model.fit(X_train, y_train, eval_set=[(X_test, y_test)])",
    SPLIT + "model.fit(X_train, y_train, validation_data=(X_test, y_test))",
    SPLIT + "PolynomialFeatures(2).fit_transform(X_test)",
    SPLIT + "TSNE(random_state=1).fit_transform(X_test)",
    SPLIT + "NearestNeighbors().fit(X_test)",
    SPLIT + "test_model.fit(X_train, y_train)",
    SPLIT + "model.fit(test_size)",
    SPLIT + "CalibratedClassifierCV(model, cv='prefit').fit(X_test, y_test)",
    SPLIT + "LinearRegression().fit(y_test, y_pred)",
    SPLIT + "line.fit(y_test, predictions)",
    SPLIT + "clf.score(X_test, y_test)\nclf.partial_fit(X_test, y_test)",
    SPLIT + "for t in range(9):\n    model.fit(X_test[:t], y_test[:t])",
    "test = pd.DataFrame([1, 2])\nscaler.fit(test)",
    "x_val = 3\nscaler.fit(x_val)",
    "X_train, X_val = train_test_split(X, random_state=1)\ncalibrator.fit(X_val, y_val)",
    "rest, test = train_test_split(rows, random_state=1)\n"
    "train, other = train_test_split(rest, random_state=1)\nmodel.fit(train)",
    "A, B = train_test_split(rows, random_state=1)\nC, D = train_test_split(B, random_state=1)\n"
    "scaler.fit(A)\nscaler.fit(B)",
    # batches
    "for batch in loader:\n    pca.partial_fit(batch)",
    "for batch in loader:\n    model.fit(batch)",
    "for batch in adata.obs['batch'].unique():\n    StandardScaler().fit_transform(X[batch])",
    "def f(batch_size):\n    return StandardScaler().fit_transform(batch_size)",
    "for batch in loader:\n    HashingVectorizer().fit_transform(batch)",
    # before the split, but not of what is split
    "shown = PCA(2).fit_transform(X)\nplot(shown)\n" + SPLIT,
    "y = LabelEncoder().fit_transform(y)\n" + SPLIT,
    "X = OneHotEncoder().fit_transform(X)\n" + SPLIT,
    "df['pc'] = PCA(1).fit_transform(df[['a', 'b']])\nX = df[['a', 'b']]\n" + SPLIT,
    "df['pc'] = PCA(1).fit_transform(df[['a', 'b']])\nX = df.drop(columns=['pc'])\n" + SPLIT,
    "df['c'] = KMeans(3, random_state=1).fit_predict(StandardScaler().fit_transform(df))\n"
    "X = df[features]\n" + SPLIT,
    "pca = PCA().fit(X)\nprint(pca.explained_variance_ratio_)\n"
    + SPLIT
    + "pca = PCA(3)\nX_train = pca.fit_transform(X_train)\nX_test = pca.transform(X_test)",
    SPLIT + "scaler = StandardScaler().fit(X_train)\nX_test = scaler.transform(X_test)",
    "model = make_pipeline(StandardScaler(), Ridge())\ncross_val_score(model, X, y)",
    "X = StandardScaler().fit_transform(X)\nX = load()\n" + SPLIT,
    SPLIT + "X_train = StandardScaler().fit_transform(X_train)\ncross_val_score(model, X_train)",
    # choosing
    SPLIT + "for m in models:\n    print(m.score(X_test, y_test))",
    SPLIT + "for k in ks:\n    score = cross_val_score(make(k), X_train, y_train).mean()\n"
    "    if score > best:\n        best = score",
    "for a, b in folds.split(X):\n    X_train, X_test = X[a], X[b]\n"
    "    score = model.score(X_test, y[b])\n    if score > best:\n        best = score",
    SPLIT + "y_pred = np.argmax(model.predict(X_test), axis=1)",
    SPLIT + "labels = []\nfor x in X_test:\n    labels.append(model.predict(x))\nnp.argmax(labels)",
    SPLIT + "fpr, tpr, thresholds = roc_curve(y_test, p)\nzero = np.argmin(np.abs(thresholds))",
    SPLIT + "lgb.train({}, a, valid_sets=[lgb.Dataset(X_test)], num_boost_round=9)",
    SPLIT + "stop = EarlyStopping(monitor='loss')\n"
    "model.fit(X_train, validation_data=(X_test, y_test), callbacks=[stop])",
    SPLIT
    + "CatBoostRegressor(use_best_model=False).fit(X_train, y_train, eval_set=(X_test, y_test))",
    "def objective(trial):\n    depth = trial.suggest_int('depth', 1, 9)\n    "
    + SPLIT
    + "    return make(depth).fit(X_train, y_train).score(X_test, y_test)",
    "for epoch in range(9):\n    if val_loss < best:\n        best = val_loss",
    # seeds
    "scores = [run(seed).score(x, y) for seed in seeds]\nprint(np.mean(scores), max(scores))",
    "for seed in range(9):\n    best = 0\n    for epoch in range(9):\n"
    "        if val_acc > best:\n            best = val_acc",
    "for seed in range(9):\n    inertia = KMeans(3, random_state=seed).fit(x).inertia_\n"
    "    if inertia < best:\n        best = inertia",
    "GridSearchCV(model, {'random_state': [42], 'depth': [1, 2]})",
    # splits
    "train_test_split(df, shuffle=False)",
    "train_test_split(df, **options)",
    "KFold(5)",
    "KFold(5, shuffle=shuffled)",
    "np.random.seed(1)\ntrain_test_split(df)",
    "def split(df):\n    return train_test_split(df)\nset_seed(1)\nsplit(df)",
    "import torch\ntorch.utils.data.random_split(rows, [8, 2], torch.Generator())",
    "from mine import train_test_split\ntrain_test_split(df)",
    "def train_test_split(df):\n    return df[:9], df[9:]\ntrain_test_split(df)",
    "time_col = None\n" + SPLIT,
    "groups = df.groupby('user')\n" + SPLIT,
    "def run(df, group_column='user'):\n    pass\n" + SPLIT,
    "import lifelines\ntime_col = 'T'\n" + SPLIT,
    "group_column = 'user'\nusers = df[group_column].unique()\n"
    "train, test = train_test_split(users, random_state=1)",
    # names of scores
    "test_score = model.score(X_test, y_test)\ntrain_score = model.score(X_train, y_train)",
    "val_score = cross_val_score(model, X_train, y_train)",
    "print('Test the model on training rows:', model.score(X_train, y_train))",
    "print('Train', model.score(X_train, y_train), 'Test score', model.score(X_test, y_test))",
    "print(f'test accuracy: {test_acc}, train accuracy: {train_acc}')",
    # files
    "import pickle\nrows = pickle.load(open('rows.pkl', 'rb'))",
    "import pickle\npickle.dump(model_scores, open('scores.pkl', 'wb'))",
    "import pickle\npickle.dumps(model)",
    "import torch\ntorch.save(model.state_dict(), 'model.pt')",
    "import torch\ntorch.save({'model': model.state_dict()}, 'model.pt')",
    "import json\njson.dump(model, file)",
    # nothing to say, and nothing to fall over
    "",
    "X_train = X_test = fit = None",
    "fit()\nfit_transform()\nx.fit()\nmax()\nprint()\npickle.dump()\na[0]()()\n(lambda: 0)()",
    "(yield_, *rest), b.c[0] = f(*a, **b)\nfor x, (y, *z) in w: pass",
    "x[()] = y[()]\nscaler.fit(x[()])\nX_train = x[()]",
    "x0 = 1\n" + "".join(f"x{n + 1} = x{n} + x{n}\n" for n in range(60)) + "scaler.fit(x60)",
    "scaler.fit(x" + ".head()" * 300 + ")\ny = x" + ".tail()" * 300,
    "a = b\nb = a\nscaler.fit(a)\nX_train = 1",
)


@pytest.mark.parametrize(
    ("rule", "code"), [(rule, code) for rule, codes in WRONG.items() for code in codes]
)
def test_variants_are_found(rule: str, code: str) -> None:
    assert found(code) == {rule}


@pytest.mark.parametrize("code", RIGHT)
def test_what_is_right_is_not(code: str) -> None:
    assert found(code) == set()


@pytest.mark.parametrize(
    "code",
    [
        "x = " + " + ".join(["X_test"] * 3000) + "\nscaler.fit(x)\nX_train = 1",
        "scaler.fit(X_test" + ".a" * 900 + ")\nX_train = 1",
    ],
)
def test_depth_is_no_crash(code: str) -> None:
    """How deep a syntax tree may be, and so what is seen of it, differs between Pythons."""
    assert found(code) <= {"ML401"}

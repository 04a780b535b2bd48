"""Data files: the tables read from valid ones, and one clear error for each invalid one."""

import contextlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import momentumlab
from momentumlab.datasets import builtin, data_table, npz_files
from momentumlab.datasets.data_table import DataTable
from momentumlab.datasets.design_matrix import DesignMatrix, DesignOptions, design_matrix
from momentumlab.errors import ConfigError
from momentumlab.surfaces import SURFACES
from tests.conftest import Command

WORDS = "a,b,label\n1,2,x\n3,4,y\n5,7,x\n0,1,y\n"


def written(tmp_path: Path, content: str | bytes, name: str = "t.csv") -> str:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def of(path: str, **options: Any) -> DesignMatrix:
    usual = {"target": "", "ignore": "", "standardise": False, "intercept": False, "outputs": "classes"}
    return design_matrix(DesignOptions(data=path, **{**usual, **options}))


def archived(tmp_path: Path, **arrays: Any) -> str:
    path = tmp_path / "t.npz"
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize(
    "text",
    [
        WORDS,
        WORDS.replace("\n", "\r\n"),
        WORDS.replace("\n", "\r\n").strip(),
        "\ufeff" + WORDS,
        WORDS.replace(",", ";"),
        WORDS.replace(",", "\t"),
        WORDS.replace(",", " , "),
        WORDS.replace("x", '"x"').replace("label", '"label"'),
        WORDS.replace("3,4,y", "\n \n3.0,+4e0,y\n,,\n"),
    ],
    ids=["plain", "crlf", "no last end", "bom", "semicolons", "tabs", "spaces", "quotes", "blank lines"],
)
def test_common_csv_dialects_give_the_same_table(tmp_path: Path, text: str) -> None:
    read = of(written(tmp_path, text))
    assert read.features.tolist() == [[1, 2], [3, 4], [5, 7], [0, 1]]
    assert read.targets.tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    assert (read.names, read.classes) == (("a", "b"), ("x", "y"))


def test_quoted_separators_and_quotes_are_part_of_a_value(tmp_path: Path) -> None:
    read = of(written(tmp_path, 'a,"b, c",label\n1,2,"no, ""never"""\n3,4,"two\nlines"\n'))
    assert read.names == ("a", "b, c")
    assert read.classes == ('no, "never"', "two\nlines")


def test_target_and_ignored_columns_are_chosen_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, "id,y,a\nn1,0.5,1\nn2,-2,4\n")
    read = of(path, target="y", ignore=" id ", outputs="number")
    assert (read.names, read.targets[:, 0].tolist(), read.features[:, 0].tolist()) == (("a",), [0.5, -2], [1, 4])


def test_classes_are_in_the_order_of_numbers_or_of_the_alphabet(tmp_path: Path) -> None:
    numbers = of(
        written(tmp_path, "a,k\n" + "".join(f"{i},{k}\n" for i, k in enumerate(["10", "9", "10.0", "9", "2", "2e0"])))
    )
    assert numbers.classes == ("2", "9", "10")
    assert numbers.targets.argmax(axis=1).tolist() == [2, 1, 2, 1, 0, 0]
    words = of(
        written(tmp_path, "a,k\n" + "".join(f"{i},{k}\n" for i, k in enumerate(["b", "10", "b", "10", "9", "9"])))
    )
    assert words.classes == ("10", "9", "b")


def test_standardised_features_have_mean_0_and_variance_1(tmp_path: Path) -> None:
    read = of(written(tmp_path, "a,b,k\n1,1e200,x\n2,3e200,y\n6,-5e200,x\n9,0,y\n"), standardise=True, intercept=True)
    assert read.names == ("a", "b", "intercept")
    np.testing.assert_allclose(read.features[:, :2].mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(read.features[:, :2].std(axis=0), 1, rtol=1e-14)
    assert read.features[:, 2].tolist() == [1] * 4


BAD: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "t.csv: the file is empty"),
    "blank": (" \n\n ", "t.csv: the file is empty"),
    "no rows": ("a,label\n", "t.csv: the file has column names but no rows"),
    "one row": ("a,b\n1,x\n", "t.csv: column 'b': all rows have the class 'x'"),
    "no names": ("1,2\n3,4\n", "t.csv:1: the first line must name the columns, but has only numbers"),
    "nameless": ("a,,c\n1,2,3\n", "t.csv:1: column 2 has no name"),
    "twice": ("a,b,a\n1,2,3\n", "t.csv:1: two columns are called 'a'"),
    "one column": ("a\n1\n2\n", "t.csv:1: only one column; separate columns by commas or semicolons or tabs"),
    "ragged": ("a,b\n1,x\n2\n3,y\n1,2,3\n", "t.csv:3: 1 value, but line 1 names 2 columns\nt.csv:5: 3 values, but line 1 names 2 columns"),  # noqa: E501
    "text": ("a,b\n1,x\nred,y\n", "t.csv:3: column 'a': 'red' is not a number"),
    "missing": ("a,b\n,x\nNA,y\n", "t.csv:2: column 'a': the value is missing: set 'missing' to drop or mean; 2 rows have such values"),  # noqa: E501
    "no label": ("a,b\n1,x\n2,\n3,y\n", "t.csv:3: column 'b': the value is missing: set 'missing: drop' to leave out such rows"),  # noqa: E501
    "nan": ("a,b\n1,x\nnan,y\n", "t.csv:3: column 'a': the value is missing: set 'missing' to drop or mean"),
    "words": ("a,b,c\n1,u,x\n2,v,y\n", "t.csv:2: column 'b': 'u' is a word: set 'encode: onehot' or 'ignore: b'; 2 rows have such values"),  # noqa: E501
    "infinite": ("a,b\n-inf,x\n1e999,y\n", "t.csv:2: column 'a': '-inf' is not a finite number; 2 rows have such values"),  # noqa: E501
    "decimal comma": ("a;b\n1,5;x\n2;y\n", "t.csv:2: column 'a': '1,5' is not a number: write 1.5"),
    "python number": ("a,b\n1_000,x\n2,y\n", "t.csv:2: column 'a': '1_000' is not a number"),
    "other digits": ("a,b\n٣,x\n2,y\n", "t.csv:2: column 'a': '٣' is not a number"),
    "one class": ("a,b\n1,x\n2,x\n", "t.csv: column 'b': all rows have the class 'x'"),
    "latin-1": ("a,b\n1,x\n2,é\n".encode("latin-1"), "t.csv:3: byte 10 is not UTF-8: save the file as UTF-8"),
    "utf-16": (WORDS.encode("utf-16"), "t.csv:1: the file is UTF-16: save it as UTF-8"),
    "open quote": ('a,b\n1,x\n2,"y\n3,x\n', "t.csv:3: a quotation mark is not closed"),
    "npy": (b"\x93NUMPY\x01\x00v", "t.csv: an NPY file has no named columns: use np.savez(path, X=features, y=target)"),
    "constant": ("a,b,c\n1,2,x\n1,3,y\n", "t.csv: column 'a' is constant and cannot be standardised: write 'ignore: \"a\"'"),  # noqa: E501
    "not quite constant": ("a,c\n1e15,x\n1e15,y\n1000000000000000.1,y\n", "t.csv: column 'a' is constant and cannot be standardised: write 'ignore: \"a\"'"),  # noqa: E501
    "zip": (b"PK\x03\x04 broken", "t.csv: not an NPZ archive, or damaged (File is not a zip file)"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_gives_one_clear_error_with_its_line(tmp_path: Path, case: str) -> None:
    content, expected = BAD[case]
    with pytest.raises(ConfigError) as error:
        of(written(tmp_path, content), standardise=True)
    assert str(error.value).replace(f"{tmp_path}/", "") == expected


def test_problems_are_grouped_by_column_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b,c\n" + "red,,x\n" * 1000 + "1,2,y\n")
    with pytest.raises(ConfigError) as error:
        of(path)
    assert str(error.value).replace(f"{tmp_path}/", "").splitlines() == [
        "t.csv:2: column 'a': 'red' is not a number; 1,000 rows have such values",
        "t.csv:2: column 'b': the value is missing: set 'missing' to drop or mean; 1,000 rows have such values",
    ]
    names = ",".join(f"a{i}" for i in range(40))
    with pytest.raises(ConfigError) as error:
        of(written(tmp_path, f"{names},b\n{'?,' * 40}x\n{'1,' * 40}y\n", "wide.csv"))
    assert len(error.value.problems) == data_table.MOST_PROBLEMS + 1
    assert str(error.value.problems[-1]).endswith("and 30 more problems of this kind")


HOMES = "rooms,income,region,value\n" + "".join(
    f"{i % 5},{'' if i % 7 == 3 else i / 10},{('bay', 'inland', 'NA')[i % 3]},{i}\n" for i in range(60)
)


def test_rows_with_missing_values_can_be_dropped(tmp_path: Path) -> None:
    read = of(written(tmp_path, HOMES), missing="drop", encode="onehot", outputs="number")
    rows = [i for i in range(60) if i % 7 != 3 and i % 3 != 2]
    assert read.names == ("rooms", "income", "region=bay", "region=inland")
    assert read.targets[:, 0].tolist() == rows
    assert read.features.tolist() == [[i % 5, i / 10, i % 3 == 0, i % 3 == 1] for i in rows]


def test_missing_values_can_be_replaced_by_the_mean(tmp_path: Path) -> None:
    read = of(written(tmp_path, HOMES), missing="mean", encode="onehot", outputs="number")
    income = [i / 10 for i in range(60) if i % 7 != 3]
    expected = [[i % 5, sum(income) / len(income) if i % 7 == 3 else i / 10,
                 *((i % 3 == 0, i % 3 == 1) if i % 3 != 2 else (0.5, 0.5))] for i in range(60)]  # fmt: skip
    np.testing.assert_allclose(read.features, expected, rtol=1e-14)


@pytest.mark.parametrize("missing", ["drop", "mean"])
def test_archives_may_contain_missing_values(tmp_path: Path, missing: str) -> None:
    read = of(
        archived(tmp_path, a=np.array([1.0, np.nan, 4.0, 4.0]), y=np.arange(4)), missing=missing, outputs="number"
    )
    assert read.features[:, 0].tolist() == ([1, 4, 4] if missing == "drop" else [1, 3, 4, 4])


def test_a_missing_target_and_too_many_words_are_errors(tmp_path: Path) -> None:
    text = "a,name,y\n" + "".join(f"{i},n{i},{'' if i == 4 else i}\n" for i in range(9))
    with pytest.raises(ConfigError) as error:
        of(written(tmp_path, text), missing="mean", encode="onehot", outputs="number")
    assert str(error.value).replace(f"{tmp_path}/", "").splitlines() == [
        "t.csv: column 'name': 9 different words in 9 rows are too many: set 'ignore: name'",
        "t.csv:6: column 'y': the value is missing: set 'missing: drop' to leave out such rows",
    ]


def test_held_out_rows_affect_nothing_but_their_own_loss(tmp_path: Path) -> None:
    text = "a,y\n" + "".join(f"{'' if i % 9 == 0 else i * i},{3 * i}\n" for i in range(50))
    read = of(written(tmp_path, text), missing="mean", outputs="number", standardise=True, validation=0.2)
    assert read.held_out is not None
    assert (read.rows, read.held_out.rows) == (40, 10)
    targets = read.targets[:, 0]
    training = np.array([0.0 if i % 9 == 0 else i * i for i in (targets / 3).round().astype(int).tolist()])
    known = (targets / 3).round().astype(int) % 9 != 0
    filled = np.where(known, training, training[known].mean())
    np.testing.assert_allclose(read.features[:, 0], (filled - filled.mean()) / filled.std(), rtol=1e-12, atol=1e-12)
    assert sorted([*targets, *read.held_out.targets[:, 0]]) == [3 * i for i in range(50)]
    with pytest.raises(ConfigError, match="validation: .*hold out at least 1 and keep at least 2"):
        of(written(tmp_path, text), missing="mean", outputs="number", validation=0.999)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"target": "lable"}, "target: t.csv has no column 'lable' (did you mean 'label'?)"),
        ({"target": "zzz"}, "target: t.csv has no column 'zzz'; it has a, b, label"),
        ({"ignore": "a, q"}, "ignore: t.csv has no column 'q'; it has a, b, label"),
        ({"ignore": "label"}, "ignore: 'label' is the target"),
        ({"ignore": "a,b"}, "ignore: no feature columns are left"),
        ({"outputs": "number"}, "t.csv:2: column 'label': 'x' is not a number; 4 rows have such values"),
        ({"target": "a", "ignore": "label"}, "target: t.csv: column 'a' has 4 different values in 4 rows: too many classes; use least_squares for numbers"),  # noqa: E501
        ({"target": "a", "outputs": "two", "ignore": "label"}, "target: t.csv: column 'a' has 4 classes, logistic supports two: use softmax"),  # noqa: E501
        ({"data": "nowhere.csv"}, "data: nowhere.csv: no such file"),
        ({"data": "/dev/zero"}, "data: /dev/zero is not a regular file"),
        ({"data": "/"}, "data: / is not a regular file"),
        ({"data": "two_moons(n=3)"}, "data: two_moons(): n = 3 is outside 4 ≤ n ≤ 1,000,000 (column 13)"),
        ({"data": "two_moons(100.5)"}, "data: two_moons(): n = 100.5 is not a whole number (column 11)"),
        ({"data": "two_moons(noise=-1)"}, "data: two_moons(): noise = -1 is outside 0 ≤ noise ≤ 100 (column 17)"),
        ({"data": "two_moons(size=3)"}, "data: two_moons(n, noise, seed) has no argument 'size' (column 16)"),
        ({"data": "two_moons(5, n=6)"}, "data: two_moons(n, noise, seed) has two values for 'n' (column 16)"),
    ],
)  # fmt: skip
def test_settings_that_contradict_the_file_are_errors(tmp_path: Path, options: dict[str, str], expected: str) -> None:
    path = options.pop("data", None) or written(tmp_path, WORDS)
    with pytest.raises(ConfigError) as error:
        of(path, **options)
    assert str(error.value).splitlines()[0].replace(f"{tmp_path}/", "") == expected


def test_npz_and_csv_files_give_the_same_table(tmp_path: Path) -> None:
    text = of(written(tmp_path, WORDS))
    x = np.array([[1, 2], [3, 4], [5, 7], [0, 1]])
    y = np.array(["x", "y", "x", "y"])
    for features in (x, np.asfortranarray(x), x.astype(np.float32), x.astype(">i2")):
        for compressed in (False, True):
            path = tmp_path / "t.npz"
            (np.savez_compressed if compressed else np.savez)(path, X=features, y=y)
            read = of(str(path))
            assert read.features.tolist() == text.features.tolist()
            assert (read.targets.tolist(), read.classes) == (text.targets.tolist(), text.classes)
            assert read.names == ("X_0", "X_1")


def declaring(shape: tuple[int, ...], data: bytes = b"") -> bytes:
    """Return an NPY file that declares a shape that its data need not have."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return buffer.getvalue() + data


def test_archives_that_declare_too_many_bytes_are_rejected_before_allocation(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("y.npy", declaring((10 * 2**30 // 8,)))
    with pytest.raises(ConfigError, match="the header declares 10,737,418,240 bytes, but there are 0$"):
        of(str(path))


def test_archives_that_unpack_to_more_than_the_limit_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz_files, "MOST_BYTES", 10_000)
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, X=np.zeros((1001, 1), dtype=np.int8), y=np.zeros(1001))
    assert path.stat().st_size < 1000
    with pytest.raises(ConfigError, match="the headers declare 16,016 bytes, more than the limit of 10,000$"):
        of(str(path))


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"X": np.ones((3, 2)), "y": np.arange(4)}, "must have the same number of rows, but X has 3, y has 4"),
        ({"X": np.ones((3, 2, 2)), "y": np.arange(3)}, "array 'X': 3 dimensions instead of one or two"),
        ({"X": np.ones((3, 2)), "y": np.array([None, 1, 2])}, "array 'y': invalid type object: use numbers or text"),
        ({"X": np.ones((3, 2)) * 1j, "y": np.arange(3)}, "array 'X': invalid type complex128: use numbers or text"),
        (
            {"X": np.array([[1], [np.nan]]), "y": np.arange(2)},
            "row 1: column 'X_0': the value is missing: set 'missing' to drop or mean",
        ),
        ({"X": np.array([["red"], ["1"]]), "y": np.arange(2)}, "row 0: column 'X_0': 'red' is not a number"),
        ({"X": np.ones((0, 2)), "y": np.ones(0)}, "the arrays are empty"),
        ({"X": np.ones((2, 2)), "X_0": np.ones(2)}, "two columns are called 'X_0'"),
        ({}, "the archive contains no arrays"),
    ],
)
def test_a_bad_archive_gives_one_clear_error(tmp_path: Path, arrays: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        of(archived(tmp_path, **arrays), outputs="number")
    assert str(error.value).splitlines()[0].endswith(expected)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), name=st.sampled_from(["csv", "npz"]))
def test_damaged_files_raise_only_clear_errors(
    data: st.DataObject, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    if name == "csv":
        content = WORDS.encode()
    else:
        content = Path(archived(folder, X=np.arange(8.0).reshape(4, 2), y=np.array(["x", "y"] * 2))).read_bytes()
    begin = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(begin, min(len(content), begin + 6)))
    path = written(folder, content[:begin] + data.draw(st.binary(max_size=6)) + content[end:], f"d.{name}")
    with contextlib.suppress(ConfigError):
        assert np.isfinite(of(path, standardise=True).features).all()


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = written(tmp_path, WORDS)
    assert of(path) is of(path)
    before = of(path)
    written(tmp_path, WORDS + "8,8,y\n")
    assert (before.rows, of(path).rows) == (4, 5)


@pytest.mark.parametrize(
    ("name", "shape", "classes"), [("iris", (150, 4), 3), ("wine", (178, 13), 3), ("digits", (360, 56), 10)]
)
def test_bundled_tables_are_installed_with_their_licence(name: str, shape: tuple[int, int], classes: int) -> None:
    read = of(name, standardise=True)
    assert (read.features.shape, len(read.classes)) == (shape, classes)
    readme = (builtin.FOLDER / "README.md").read_text()
    assert f"`{name}.csv`" in readme
    assert "creativecommons.org/licenses/by/4.0" in readme


def test_bundled_tables_agree_with_published_means() -> None:
    """Means from the UCI documentation and the manual of R."""
    iris, wine = (builtin.load(name, numeric=False).columns for name in ("iris", "wine"))
    means = [iris[name].astype(float).mean() for name in ("sepal_length", "sepal_width", "petal_length", "petal_width")]
    assert means == pytest.approx([5.843333, 3.057333, 3.758, 1.199333], abs=1e-6)
    assert wine["alcohol"].astype(float).mean() == pytest.approx(13.0, abs=0.05)
    assert wine["proline"].astype(float).mean() == pytest.approx(746.9, abs=0.05)
    assert np.unique(wine["cultivar"], return_counts=True)[1].tolist() == [59, 71, 48]


def moons(**arguments: Any) -> DataTable:
    return builtin.TwoMoons(**arguments).table(numeric=False)


def test_moons_are_two_half_circles_with_the_requested_noise() -> None:
    x, y, moon = moons(n=301, noise=0.0).columns.values()
    upper = moon == "upper"
    assert upper.sum() == 150
    assert np.hypot(x[upper], y[upper]) == pytest.approx(1)
    assert np.hypot(x[~upper] - 1, y[~upper] - 0.5) == pytest.approx(1)
    assert (y[upper] >= 0).all()
    assert (y[~upper] <= 0.5).all()
    noisy: Any = moons(n=20_001, noise=0.3, seed=5).columns
    clean: Any = moons(n=20_001, noise=0.0).columns
    for name in ("x", "y"):
        assert (noisy[name] - clean[name]).std() == pytest.approx(0.3, rel=0.02)
    assert (moons(n=50, noise=0.1, seed=1).columns["x"] == moons(n=50, noise=0.1, seed=1).columns["x"]).all()
    assert (moons(n=50, noise=0.1, seed=1).columns["x"] != moons(n=50, noise=0.1, seed=2).columns["x"]).all()


def test_paths_are_relative_to_the_configuration_or_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, rows in (("there", WORDS), ("here", WORDS + "8,8,y\n")):
        (tmp_path / folder).mkdir()
        written(tmp_path / folder, rows)
    config = tmp_path / "there" / "e.yaml"
    config.write_text("surface: {name: softmax, data: t.csv}\noptimizer: sgd\n")
    monkeypatch.chdir(tmp_path / "here")
    loaded: Any = momentumlab.load(config).first_surface
    assert (loaded.design.rows, loaded.data) == (4, str(tmp_path / "there" / "t.csv"))
    overridden: Any = momentumlab.load(config, settings={"surface.data": "t.csv"}).first_surface
    assert overridden.design.rows == 5
    assert momentumlab.load(momentumlab.load(config)) == momentumlab.load(config)
    mapped: Any = momentumlab.load({"surface": {"name": "mlp", "data": "../there/t.csv"}, "optimizer": "sgd"})
    assert mapped.first_surface.design.rows == 4


def test_a_bad_file_ends_the_command_with_code_2_and_no_traceback(tmp_path: Path, command: Command) -> None:
    written(tmp_path, "a,b\n1,x\nred,y\nblue,y\n")
    (tmp_path / "e.yaml").write_text("surface: {name: logistic, data: t.csv}\noptimizer: sgdd\nlr: -1\n")
    done = command("run", "e.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    message = done.stderr.replace(f"{tmp_path.resolve()}/", "")
    assert "t.csv:3: column 'a': 'red' is not a number; 2 rows have such values" in message
    assert "did you mean 'sgd'" in message
    assert "Traceback" not in message
    (tmp_path / "e.yaml").write_text("surface: {name: logistic, data: none.csv}\noptimizer: sgd\n")
    assert command("run", "e.yaml").stderr.startswith("e.yaml:1:33: surface.data: ")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("hidden", 2.5, "surface.hidden: 2.5 is not an integer from 1 to 10,000"),
        ("batch_size", 1.5, "surface.batch_size: 1.5 is not an integer from 1 to 200"),
        ("batch_size", 201, "surface.batch_size: 201 is not an integer from 1 to 200"),
        ("data", ["iris", "two_moons"], "surface.data: its values give 32 or 51 coordinates; run them separately"),
    ],
)
def test_invalid_settings_are_reported_with_their_place(setting: str, value: object, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        momentumlab.load({"surface": {"name": "mlp", setting: value}, "optimizer": "sgd"})
    assert str(error.value).endswith(expected)


def test_exactly_the_surfaces_on_data_have_a_path_parameter() -> None:
    for name, cls in SURFACES.items():
        has_path = any(parameter.is_path for parameter in cls.parameters())
        assert has_path == (not cls.is_formula), name


@pytest.mark.parametrize("text", ["a,b\x1b[31m,label\n1,2,x\n3,u,y\n", "a,b,label\n1,\x1b]0;hi\x07,x\n2,3,y\n"])
def test_control_characters_of_a_file_never_reach_the_terminal(tmp_path: Path, text: str) -> None:
    for options in ({}, {"target": "c"}, {"ignore": "\x1b[2J"}):
        with pytest.raises(ConfigError) as refused:
            of(written(tmp_path, text), **options)
        assert str(refused.value).replace("\n", "").isprintable()

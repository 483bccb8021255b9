"""The files say what the scores are, in the poster's layout, and appear whole."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from fake_results import FOUR, NAMES, contender, fake_results
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from geocomiss.benchmarking.reporting import poster
from geocomiss.benchmarking.reporting.curves import apart, line_looks
from geocomiss.benchmarking.reporting.figures import draw_table
from geocomiss.benchmarking.reporting.files import (
    ReportRequest,
    differences_csv,
    portable,
    scores_csv,
    write_report,
)
from geocomiss.benchmarking.reporting.markdown import markdown
from geocomiss.benchmarking.reporting.pooled import METRICS, Cell, pooled_scores
from geocomiss.benchmarking.reporting.rows import pattern_rows, summaries
from geocomiss.benchmarking.reporting.significance import compare
from geocomiss.benchmarking.reporting.tables import Style, marked, style_of
from geocomiss.benchmarking.results import NOT_DEFINED, Results
from geocomiss.errors import MapError, MethodError

FEW = ("random-forest", "timmil", "comiss", "comiss+")
QUICK = ReportRequest(command="geocomiss benchmark --samples table.npz", draws=50)


def report(results: Results) -> str:
    """The Markdown alone: pictures take most of the time."""
    return markdown(results, pooled_scores(results), compare(results, draws=QUICK.draws), QUICK.command)


def section(text: str, title: str) -> dict[str, list[str]]:
    """Cells of a section's table by the head of the row."""
    part = text.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in part.splitlines() if line.startswith("|")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


def read(path: Path) -> list[dict[str, str]]:
    return parsed(path.read_text(encoding="utf-8"))


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_all_files_are_there_and_nothing_else(tmp_path: Path) -> None:
    written = write_report(fake_results(), tmp_path / "new" / "folder", QUICK)
    names = {"table.md", "scores.csv", "differences.csv", "table.png", "months.png", "gaps.png"}
    assert {path.name for path in written} == names
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == names
    for path in written:
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert picture.width > 1000


def test_a_figure_that_no_longer_applies_goes(tmp_path: Path) -> None:
    write_report(fake_results(FEW), tmp_path, QUICK)
    written = write_report(fake_results(FEW, further=False), tmp_path, QUICK)
    assert not (tmp_path / "months.png").exists() and not (tmp_path / "gaps.png").exists()
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()}
    assert "Season cut short" not in (tmp_path / "table.md").read_text()


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report(fake_results(FEW), tmp_path / name, QUICK)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_table_holds_the_scores_in_the_posters_order() -> None:
    results = fake_results(FEW, further=False)
    found = section(report(results), "Macro F1 × 100")
    assert list(found)[2:] == [
        f"**{row.title}**" if row.summary else row.title for row in pattern_rows(FOUR)
    ]  # after the head and the rule
    pooled = pooled_scores(results)
    for row in pattern_rows(FOUR):
        cells = found[f"**{row.title}**" if row.summary else row.title]
        for name, text in zip(FEW, cells, strict=True):
            cell = pooled.cell("macro_f1", name, row.conditions)
            assert cell is not None and cell.sd is not None
            assert text.replace("*", "") == f"{100 * cell.mean:.1f} ± {100 * cell.sd:.1f}"


def test_the_best_is_bold_with_all_that_show_the_same() -> None:
    style = Style(METRICS["classes"][0], 100, 1)
    cells = [Cell(0.7004, 0.01, False), Cell(0.6996, 0.01, False), Cell(0.65, None, False), None]
    assert marked(cells, style) == ["**70.0** ± 1.0", "**70.0** ± 1.0", "65.0", "–"]
    assert marked([Cell(0.9, None, True), *cells[1:3]], style)[:2] == [r"90.0\*", "**70.0** ± 1.0"]
    assert marked(cells[:1], style) == ["70.0 ± 1.0"]  # alone is not best
    error = Style(METRICS["value"][0], 1, 1)
    assert marked([Cell(2.0, None, False), Cell(1.0, None, False)], error) == ["2.0", "**1.0**"]


def test_digits_follow_the_spread_of_the_target() -> None:
    results = fake_results(("a",), task="value", further=False)
    for scale, digits in ((1, 1), (0.01, 3), (1000, 0)):
        scaled = replace(results, truth=results.truth * scale)
        assert style_of(METRICS["value"][0], scaled).digits == digits
    assert Style(METRICS["classes"][0], 100, 1).number(-0.0001, sign=True) == "+0.0"
    assert Style(METRICS["classes"][0], 100, 1).number(-0.02) == "−2.0"


def test_the_heading_says_what_was_done() -> None:
    results = fake_results(FEW)
    text = report(results)
    head = text.split("\n## ")[0]
    counts = np.bincount(results.truth)
    assert "600 samples in 40 spatial groups" in head
    assert "5 folds of whole spatial groups; no group is split" in head
    assert "seeds: 0, 1, 2" in head and QUICK.command in head and "made up" in head
    assert all(f"class\\_{i} {count}" in head for i, count in enumerate(counts))
    assert "Random folds" not in text and "poster's way" not in text
    by_column = report(replace(results, folds_by="country")).split("\n## ")[0]
    assert "5 folds by the column country" in by_column


def test_random_folds_are_labelled_and_scored_the_posters_way() -> None:
    text = report(fake_results(FEW, folds_by="random", further=False))
    assert "> **Random folds: neighbours in training and test: parity with the poster only.**" in text
    assert "40 spatial groups are in more than one" in text
    assert len(section(text, "Macro F1 × 100, mean of per-fold scores")) == 2 + len(pattern_rows(FOUR))


def test_notes_on_methods() -> None:
    text = report(fake_results(FEW, further=False))
    assert "timmil¹" in text and "comiss+²" in text
    assert re.search("¹ timmil: our reading", text) and re.search("² comiss\\+: ours", text)


def test_what_is_not_defined_is_a_dash_and_a_mean_without_it_an_asterisk() -> None:
    results = fake_results(("random-forest", "comiss"), further=False)
    results.predicted["random-forest"][:, results.conditions.index("weather")] = NOT_DEFINED
    text = report(results)
    found = section(text, "Macro F1 × 100")
    assert found["○ ○ ● ○"][0] == "–"
    assert r"\*" in found["**extreme**"][0] and r"\*" not in found["**moderate**"][0]
    assert "not defined for this contender" in text
    rows = [
        each for each in parsed(scores_csv(results, pooled_scores(results))) if each["condition"] == "weather"
    ]
    assert {each["macro_f1"] for each in rows if each["contender"] == "random-forest"} == {""}


def test_scores_csv(tmp_path: Path) -> None:
    results = fake_results(FEW)
    write_report(results, tmp_path, QUICK)
    rows = read(tmp_path / "scores.csv")
    assert list(rows[0]) == ["contender", "condition", "seed", "macro_f1", "weighted_f1"]
    assert len(rows) == len(FEW) * (len(results.conditions) + 5) * 4
    by_key = {(each["contender"], each["condition"], each["seed"]): float(each["macro_f1"]) for each in rows}
    for name in FEW:
        for condition in ("optical", "months:3", "corruption:noise+check", "extreme"):
            seeds = [by_key[name, condition, str(seed)] for seed in results.seeds]
            assert by_key[name, condition, "mean"] == pytest.approx(fmean(seeds), abs=2e-6)
        members = summaries(FOUR)["overall"]
        overall = fmean(by_key[name, each, "1"] for each in members)
        assert by_key[name, "overall", "1"] == pytest.approx(overall, abs=2e-6)


def test_differences_in_csv_and_words() -> None:
    results = fake_results(FEW, n=3000, groups=200, further=False)
    text = report(results)
    rows = parsed(differences_csv(compare(results, draws=QUICK.draws)))
    assert len(rows) == 4 * (len(FEW) - 1)
    first = rows[0]
    assert first["reference"] == "comiss+" and first["contender"] == "random-forest"
    assert float(first["low"]) < float(first["difference"]) < float(first["high"])
    found = section(text, "Differences to comiss+²")
    low, middle, high = (f"{100 * float(first[key]):+.1f}" for key in ("low", "difference", "high"))
    assert (
        found["random forest"][0]
        .replace("*", "")
        .startswith(f"{middle} [{low}, {high}], p ".replace("-", "−"))
    )
    assert "* full: against all" in text


def test_another_reference_and_one_that_is_not_there(tmp_path: Path) -> None:
    results = fake_results(FEW, further=False)
    write_report(results, tmp_path, replace(QUICK, reference="comiss"))
    assert {each["reference"] for each in read(tmp_path / "differences.csv")} == {"comiss"}
    assert "not shown against comiss+" in (tmp_path / "table.md").read_text()
    with pytest.raises(MethodError, match="'anysat' takes no part"):
        write_report(results, tmp_path / "none", replace(QUICK, reference="anysat"))
    assert not (tmp_path / "none").exists()


def test_further_conditions_have_their_rows() -> None:
    text = report(fake_results(FEW))
    months = section(text, "Season cut short")
    assert list(months)[2:] == [*map(str, range(1, 12)), "all"]
    assert months["all"] == section(text, "Macro F1 × 100")["● ● ● ●"]
    assert "| months known |" in text
    assert list(section(text, "Natural gaps"))[2:] == ["0–2", "3–4", "5–6", "7–8", "9–12"]
    corruption = list(section(text, "Corruption"))[2:]
    assert corruption[:4] == ["clean", "clean + check", "noise", "noise + check"]


def test_per_class_scores() -> None:
    results = fake_results(FEW, further=False)
    found = section(report(results), "F1 × 100 per class, all modalities")
    assert [row[0] for row in list(found.values())[2:]] == [str(each) for each in np.bincount(results.truth)]


def test_a_regression_has_errors_and_no_classes() -> None:
    results = fake_results(FEW, FOUR[:2], task="value")
    text = report(results)
    assert list(section(text, "RMSE"))[-2:] == ["**moderate = extreme**", "**overall = all patterns**"]
    assert "R²" in text and "per class" not in text and "Not inferior" not in text
    assert list(parsed(scores_csv(results, pooled_scores(results)))[0])[3:] == ["rmse", "r2"]


@pytest.mark.parametrize("modalities", [FOUR[:1], FOUR[:2], FOUR[:3]])
def test_fewer_modalities_seeds_groups_contenders(tmp_path: Path, modalities: tuple[str, ...]) -> None:
    results = fake_results(("comiss",), modalities, groups=1, folds=1, seeds=1, further=False)
    write_report(results, tmp_path, QUICK)
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "±" not in section(text, "Macro F1 × 100")[" ".join("●" * len(modalities))][0]
    assert "Differences" not in text and "one seed" in text
    assert read(tmp_path / "differences.csv") == []


def test_names_cannot_break_the_table() -> None:
    results = fake_results(("a", "b"), FOUR[:2], classes=2, further=False)
    odd = replace(contender("a"), title="a|b *c*")
    results = replace(results, contenders=(odd, results.contenders[1]), classes=("x|y", "<z>"))
    found = section(report(results), "F1 × 100 per class, all modalities")
    assert {len(row) for row in found.values()} == {3}
    assert r"x\|y" in found and r"\<z\>" in found


def test_the_posters_numbers_stand_beside_those_of_its_samples_only() -> None:
    results = fake_results(NAMES, published=True, folds_by="random", further=False)
    found = section(report(results), "Beside the poster")
    head = found["O R W T"]
    assert head[head.index("Co-Miss poster") - 1] == "comiss here"
    assert "AnySat poster" in head and "anysat here" not in head
    column = {name: head.index(f"{name} poster") for name in poster.METHODS.values()}
    assert found["● ● ● ●"][column["Co-Miss"]] == "78.0"
    assert found["moderate"][column["TiMMIL"]] == "70.0 (69.8)"
    assert found["overall"][column["FullCo"]] == "65.0 (65.2)"
    assert found["overall"][column["Co-Miss"]] == "65.4 (65.7)"
    assert found["extreme"][column["AnySat"]] == r"61.2\*"
    assert found["○ ● ● ●"][column["Uni-modal"]] == "–"
    assert "Beside the poster" not in report(fake_results(FEW, further=False))


def test_published_means_recomputed_as_the_protocol_lists_them() -> None:
    expected = {
        "moderate": {"fcom-av": 73.475, "timmil": 69.825, "dsensd+": 73.625, "fullco": 73.45,
                     "comiss": 74.875},
        "extreme": {"unimodal": 50.425, "anysat": 61.2, "galileo": 49.825, "fcom-av": 47.325, "timmil": 43.0,
                    "dsensd+": 53.125, "fullco": 54.275, "comiss": 53.425},
        "overall": {"unimodal": 50.425, "galileo": 53.8, "fcom-av": 62.21, "timmil": 58.19, "anysat": 64.53,
                    "dsensd+": 64.83, "fullco": 65.22, "comiss": 65.69},
    }  # fmt: skip
    for row, means in expected.items():
        for method, mean in means.items():
            assert poster.recomputed(row, method) == pytest.approx(mean, abs=0.006)
    assert poster.recomputed("optical", "comiss") is None
    assert poster.recomputed("moderate", "unimodal") is None
    assert poster.printed("optical+radar", "comiss") is None


def test_commands_lose_paths_of_this_machine() -> None:
    found = portable(
        ["geocomiss", "benchmark", "--samples", "/data/some where/t.npz", "--out", "runs/x", "a b"]
    )
    assert found == "geocomiss benchmark --samples t.npz --out runs/x 'a b'"
    assert portable(["--out=/home/me/x", "galileo=/w/nano", "a=b"]) == "--out=x galileo=nano a=b"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MapError, match="the report cannot be written"):
        write_report(fake_results(FEW, further=False), tmp_path / "file", QUICK)


def test_an_old_file_stays_whole_until_the_new_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(fake_results(FEW, further=False), tmp_path, QUICK)
    before = (tmp_path / "table.md").read_bytes()

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MapError, match="No space left"):
        write_report(fake_results(FEW, further=False, seed=1), tmp_path, QUICK)
    assert (tmp_path / "table.md").read_bytes() == before


@given(st.lists(st.floats(0, 100), min_size=1, max_size=15), st.floats(0.1, 20))
def test_names_are_moved_apart_and_stay_in_the_picture(values: list[float], gap: float) -> None:
    values = sorted(values)
    places = apart(values, gap, 0, 100)
    least = min(gap, 100 / max(len(values) - 1, 1))
    assert (np.diff(places) >= least - 1e-6).all()
    assert places.min() >= -1e-6 and places.max() <= 100 + 1e-6


def test_names_with_room_stay_where_they_are() -> None:
    assert apart([10, 50, 90], 5, 0, 100) == pytest.approx([10, 50, 90])


def test_every_line_looks_different() -> None:
    results = replace(
        fake_results(further=False), contenders=tuple(map(contender, [f"m{i}" for i in range(14)]))
    )
    looks = line_looks(results, "m3")
    assert len({(each.colour, each.dash) for each in looks.values()}) == 14


def test_the_picture_names_every_contender_and_number() -> None:
    results = fake_results(further=False)
    figure = draw_table(results, pooled_scores(results))
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    cell = pooled_scores(results).cell("macro_f1", "comiss", ("radar",))
    assert cell is not None and f"{100 * cell.mean:.1f}" in texts
    assert [each.get_text() for each in figure.axes[0].get_yticklabels()] == [
        each.title for each in results.contenders
    ]

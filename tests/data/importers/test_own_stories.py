"""A folder of images with a list of stories: lengths, splits, and invalid rows reported with their line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from storygan.cli import main
from storygan.data.check import check_dataset
from storygan.data.images import decode_frame
from storygan.data.importers.own_stories import MAX_LINE, import_own_stories
from storygan.data.schema import Story, read_metadata, read_stories, shard_paths
from storygan.errors import StoryganError, UsageError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "pictures").mkdir(parents=True)
    for n in range(1, 10):
        Image.new("RGB", (40 + n, 90 - n), (10 * n, 0, 0)).save(root / "pictures" / f"{n}.png")
    return root


def write_csv(root: Path, *lines: str, header: str = "story,frame,sentence,labels") -> None:
    (root / "stories.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def stories(out: Path) -> list[Story]:
    return list(read_stories(out, "train"))


def test_csv_and_jsonl_give_the_same(root: Path, tmp_path: Path) -> None:
    rows = [("cat", 1, "A cat.", "cat"), ("dog", 2, "A dog, brown.", "dog; park"), ("cat", 3, "She\nleaves.", "")]
    rows.append(("dog", 4, "He barks.", "dog"))
    write_csv(root, *[f'{story},pictures/{n}.png,"{sentence}",{labels}' for story, n, sentence, labels in rows])
    assert import_own_stories(root, tmp_path / "csv").stories == {"train": 2}
    objects = [
        {"story": s, "frame": f"pictures/{n}.png", "sentence": sentence, "labels": [x for x in labels.split(";") if x]}
        for s, n, sentence, labels in rows
    ]
    (root / "stories.csv").unlink()
    (root / "stories.jsonl").write_text("\n\n".join(map(json.dumps, objects)))
    import_own_stories(root, tmp_path / "jsonl")
    assert stories(tmp_path / "csv") == stories(tmp_path / "jsonl")
    cat, dog = stories(tmp_path / "csv")
    assert (cat.story_id, cat.sentences, cat.labels) == ("cat", ["A cat.", "She leaves."], [[1, 0, 0], [0, 0, 0]])
    assert dog.labels == [[0, 1, 1], [0, 1, 0]]
    assert read_metadata(shard_paths(tmp_path / "csv", "train")[0]).label_names == ("cat", "dog", "park")
    assert (decode_frame(cat.frames[1]) == (30, 0, 0)).all()
    assert not check_dataset(tmp_path / "csv").problems


def test_pictures_of_any_size_become_frames_of_64_or_128(root: Path, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), (7, 0, 0)).save(root / "pictures" / "1.png")
    write_csv(root, "a,pictures/1.png,A dog.,", "a,pictures/2.png,A cat.,")
    for size in (64, 128):
        out = tmp_path / str(size)
        assert main(["data", "import", "stories", str(root), str(out), f"--size={size}"]) == 0
        assert [decode_frame(frame).shape for frame in stories(out)[0].frames] == [(size, size, 3)] * 2
    with pytest.raises(SystemExit, match="2"):
        main(["data", "import", "stories", str(root), str(tmp_path / "x"), "--size=100"])


def test_unequal_lengths(root: Path, tmp_path: Path) -> None:
    lines = [f"{'abc'[(n > 2) + (n > 7)]},pictures/{n}.png,Sentence {n}." for n in range(1, 10)]
    write_csv(root, *lines, header="story,frame,sentence")
    summary = import_own_stories(root, tmp_path / "out")  # 2, 5 and 2 frames
    assert summary.notes == ["stories of 2 frames"]
    assert [story.story_id for story in stories(tmp_path / "out")] == ["a", "b", "b/2", "c"]
    assert summary.skipped == {"ends of stories of fewer than 2 frames": ["b (from stories.csv line 8)"]}
    assert stories(tmp_path / "out")[2].sentences == ["Sentence 5.", "Sentence 6."]
    assert stories(tmp_path / "out")[2].labels is None
    summary = import_own_stories(root, tmp_path / "four", T=4)
    assert [story.story_id for story in stories(tmp_path / "four")] == ["b"]
    assert summary.skipped["stories of fewer than 4 frames"] == ["a (2)", "c (2)"]


def test_invalid_rows_are_listed_with_file_and_line(root: Path, tmp_path: Path) -> None:
    (root / "pictures" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    write_csv(
        root,
        "good,pictures/1.png,A dog.,",
        "bad,pictures/2.png,A dog.,",
        "bad,pictures/none.png,A dog.,",
        "worse,pictures/broken.jpg,A dog.,",
        "out,../root.png,A dog.,",
        ",pictures/1.png,A dog.,",
        "short,pictures/1.png",
        "long,pictures/1.png,A dog.,x,y",
    )
    summary = import_own_stories(root, tmp_path / "out")
    assert [problem.split(":")[0] for problem in summary.problems] == [f"stories.csv line {n}" for n in range(4, 10)]
    text = str(summary)
    for words in (
        "line 4: the image pictures/none.png does not exist",
        "line 5: the image pictures/broken.jpg cannot be read",
        "line 6: the image ../root.png is outside the folder",
        "line 7: no story",
        "line 8: no sentence",
        "line 9: more values than columns",
    ):
        assert words in text
    assert summary.skipped == {"stories with an invalid row": ["bad", "worse", "out", "short", "long"]}
    assert [story.story_id for story in stories(tmp_path / "out")] == ["good"]


def test_row_without_story_invalidates_its_neighbours(root: Path, tmp_path: Path) -> None:
    """Without it, a story would have frames that are not consecutive."""
    rows = [{"story": s, "frame": f"pictures/{n}.png", "sentence": "A dog."} for n, s in enumerate("aabbccdd", 1)]
    lines = list(map(json.dumps, rows))
    lines[3:3] = ["{"]  # within b
    lines[7:7] = ['"d"', json.dumps({**rows[0], "story": " "})]  # between c and d
    (root / "stories.jsonl").write_text("\n".join(lines))
    summary = import_own_stories(root, tmp_path / "out")
    assert [story.story_id for story in stories(tmp_path / "out")] == ["a"]
    assert summary.skipped == {"stories with an invalid row": ["b", "c", "d"]}
    assert [problem.split(" (")[0] for problem in summary.problems] == [
        "stories.jsonl line 4: not JSON",
        "stories.jsonl line 8: not an object",
        "stories.jsonl line 9: no story",
    ]


def test_invalid_text_is_an_invalid_row(root: Path, tmp_path: Path) -> None:
    good = {"story": "a", "frame": "pictures/1.png", "sentence": "A dog.", "labels": ["cat", " ", ""]}
    changed = {"sentence": "\ud800", "labels": ["\udfff"], "frame": "pictures/1\0.png"}
    lines = [json.dumps({**good, "story": name, name: value}) for name, value in changed.items()]
    (root / "stories.jsonl").write_text("\n".join([json.dumps(good), *lines]))
    summary = import_own_stories(root, tmp_path / "out")
    assert [problem.split(" '")[0] for problem in summary.problems] == [
        f"stories.jsonl line {line}: the {name}" for line, name in enumerate(changed, start=2)
    ]
    assert read_metadata(shard_paths(tmp_path / "out", "train")[0]).label_names == ("cat",)


def test_header_case_and_empty_rows_of_spreadsheets(root: Path, tmp_path: Path) -> None:
    write_csv(root, "a,pictures/1.png,A dog.,cat", ",,,", header="Story,FRAME,Sentence,labels")
    summary = import_own_stories(root, tmp_path / "out")
    assert (summary.stories, summary.problems, summary.notes) == ({"train": 1}, [], ["stories of 1 frames"])


def test_parts_of_a_story_have_unique_names(root: Path, tmp_path: Path) -> None:
    write_csv(root, *[f"{'a' if n < 5 else 'a/2'},pictures/{n}.png,A dog.," for n in range(1, 7)])
    import_own_stories(root, tmp_path / "out", T=2)
    assert [story.story_id for story in stories(tmp_path / "out")] == ["a", "a/2'", "a/2"]


def test_invalid_lines_of_jsonl(root: Path, tmp_path: Path) -> None:
    good = {"story": "a", "frame": "pictures/1.png", "sentence": "A dog."}
    lines = [json.dumps(good), "{", "[1]", json.dumps({**good, "labels": "x"}), json.dumps({**good, "sentence": 7})]
    (root / "stories.jsonl").write_text("\n".join(lines))
    with pytest.raises(
        StoryganError, match=r"line 2: not JSON.*line 3: not an object.*line 4: labels must be"
    ) as caught:
        import_own_stories(root, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_invalid_list_is_a_one_line_error(root: Path, tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match="it holds 0 of them"):
        import_own_stories(root, tmp_path / "out")
    write_csv(root, header="story,picture,sentence")
    with pytest.raises(StoryganError, match="frame is missing"):
        import_own_stories(root, tmp_path / "out")
    write_csv(root, header="story,frame,sentence,labels,story")
    with pytest.raises(StoryganError, match="the first line has the column story 2 times: keep one"):
        import_own_stories(root, tmp_path / "out")
    with pytest.raises(UsageError, match="at least 1 frame"):
        import_own_stories(root, tmp_path / "out", T=-1)


@pytest.mark.parametrize("name", ["stories.csv", "stories.jsonl"])
def test_wrong_encoding_is_reported_with_its_line(root: Path, tmp_path: Path, name: str) -> None:
    lines = ["story,frame,sentence", "a,pictures/1.png,A dog."] if name.endswith("csv") else ["{}", "{}"]
    (root / name).write_bytes("\r\n".join([*lines, "a,pictures/2.png,Ein Bär."]).encode("latin1"))
    with pytest.raises(StoryganError, match=rf"{name}, line 3: the byte 0xe4 is not UTF-8: save the file as UTF-8$"):
        import_own_stories(root, tmp_path / "out")


@pytest.mark.parametrize("rest", ["A dog.", 'A dog.\na,pictures/3.png,"A dog."'])
def test_unclosed_quote_is_reported_with_its_line(root: Path, tmp_path: Path, rest: str) -> None:
    write_csv(root, 'a,pictures/1.png,"A dog\nin two lines.",', f'a,pictures/2.png,"{rest}')
    with pytest.raises(StoryganError, match=r"stories.csv, line 4: the row that starts here is not CSV \(.*quotes$"):
        import_own_stories(root, tmp_path / "out")


def test_invalid_row_of_several_lines_is_reported_with_the_first(root: Path, tmp_path: Path) -> None:
    write_csv(root, 'a,pictures/1.png,"A dog\nin two lines.",', 'b,none.png,"A dog\nin\nthree.",')
    summary = import_own_stories(root, tmp_path / "out")
    assert summary.problems == ["stories.csv line 4: the image none.png does not exist"]


def test_integers_are_texts(root: Path, tmp_path: Path) -> None:
    good = {"frame": "pictures/1.png", "sentence": "A dog."}
    rows = [
        {**good, "story": 1},
        {**good, "story": 1, "sentence": 1984},
        {**good, "story": "1"},
        {**good, "story": 2},
        {**good, "story": 2.5},
    ]
    rows += [{**good, "story": True}, {**good, "story": " "}]
    (root / "stories.jsonl").write_text("\n".join(map(json.dumps, rows)))
    summary = import_own_stories(root, tmp_path / "out")
    assert [(s.story_id, s.sentences) for s in stories(tmp_path / "out")] == [("1", ["A dog.", "1984", "A dog."])]
    problems = ["the story must be a text", "the story must be a text", "no story"]
    assert [problem.split(": ")[1] for problem in summary.problems] == problems


def test_ignored_columns_are_noted(root: Path, tmp_path: Path) -> None:
    write_csv(root, "a,pictures/1.png,A dog.,fox,,x", header="story, frame,sentence,lables,,note")
    assert import_own_stories(root, tmp_path / "csv").notes[0] == "ignored columns: lables, note"
    (root / "stories.csv").unlink()
    row = {"story": "a", "frame": "pictures/1.png", "sentence": "A dog.", "label": ["fox"]}
    (root / "stories.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(row)}")
    assert import_own_stories(root, tmp_path / "jsonl").notes[0] == "ignored columns: label"


def test_splits(root: Path, tmp_path: Path) -> None:
    lines = [
        f"{name},pictures/{n}.png,A dog.,{name},{split}"
        for n, (name, split) in enumerate(
            [
                ("a", ""),
                ("b", "test"),
                ("c", "validation"),
                ("d", "train"),
                ("e", "test"),
                ("e", "train"),
                ("f", "dev"),
            ],
            start=1,
        )
    ]
    write_csv(root, *lines, header="story,frame,sentence,labels,split")
    summary = import_own_stories(root, tmp_path / "out")
    assert summary.stories == {"train": 2, "validation": 1, "test": 1}
    assert [story.story_id for story in read_stories(tmp_path / "out", "test")] == ["b"]
    assert read_metadata(shard_paths(tmp_path / "out", "test")[0]).label_names == ("a", "b", "c", "d")
    assert summary.problems == [
        "stories.csv line 7: the split is train, but test in an earlier row of the story",
        "stories.csv line 8: the split must be one of train, validation, test",
    ]
    assert not check_dataset(tmp_path / "out").problems
    (root / "stories.csv").unlink()
    row = {"story": 1, "frame": "pictures/1.png", "sentence": "A dog."}
    rows = [{**row, "split": "validation"}, {**row, "story": 2, "split": ["test"]}]
    (root / "stories.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert import_own_stories(root, tmp_path / "jsonl").stories == {"validation": 1}


def test_command_line(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(root, *[f"a,pictures/{n}.png,Sentence {n}.,x" for n in (1, 2, 3)])
    arguments = ["data", "import", "stories", str(root), str(tmp_path / "out"), "--frames", "3"]
    assert main(arguments) == 0
    assert "wrote 1 stories (train 1), 3 frames" in capsys.readouterr().out
    assert main(arguments) == 1
    assert "already exists" in capsys.readouterr().err
    arguments[4] = str(tmp_path / "json")
    assert main([*arguments, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["stories"], summary["frames"], summary["skipped"]) == ({"train": 1}, 3, {})


def test_link_loop_and_long_line_are_invalid_rows(root: Path, tmp_path: Path) -> None:
    (root / "loop.png").symlink_to("loop.png")
    good = {"story": "a", "frame": "pictures/1.png", "sentence": "A dog."}
    lines = [json.dumps(row) for row in (good, {**good, "story": "b", "frame": "loop.png"})]
    (root / "stories.jsonl").write_text("\n".join([*lines, json.dumps({**good, "sentence": "x" * MAX_LINE})]))
    summary = import_own_stories(root, tmp_path / "out")
    assert [story.story_id for story in stories(tmp_path / "out")] == ["a"]
    assert summary.problems == [
        "stories.jsonl line 2: the image loop.png is a loop of links",
        "stories.jsonl line 3: more than 1,000,000 characters",
    ]

"""Uploaded files are named so that no header, page or disk can take the name for something else."""

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import FileStorage

from leadapp.files.uploads import LONGEST_NAME, read_uploads, safe_name


def posted(
    content: bytes = b"hello", filename: str = "a.txt", name: str = "file", content_type: str = "text/plain"
) -> FileStorage:
    return FileStorage(io.BytesIO(content), filename, name, content_type)


def test_a_file_is_read_with_its_size_and_hash() -> None:
    (upload,) = read_uploads([posted(b"hello", "plan.pdf", "attachment", "Application/PDF; x=1")])
    assert (upload.field, upload.name, upload.content_type) == ("attachment", "plan.pdf", "application/pdf")
    assert (upload.size, upload.sha256, upload.content) == (5, hashlib.sha256(b"hello").hexdigest(), b"hello")


def test_a_file_input_left_empty_is_skipped() -> None:
    assert read_uploads([posted(b"", "", content_type="application/octet-stream")]) == []


def test_an_empty_file_with_a_name_is_kept() -> None:
    assert [upload.size for upload in read_uploads([posted(b"", "empty.txt")])] == [0]


def test_content_without_a_name_is_kept() -> None:
    assert [upload.name for upload in read_uploads([posted(b"x", "")])] == ["file"]


def test_several_files_of_one_field_keep_their_order() -> None:
    uploads = read_uploads([posted(filename="1.txt", name="photos[]"), posted(filename="2.txt", name="photos[]")])
    assert [(upload.field, upload.name) for upload in uploads] == [
        ("photos[]", "1.txt"),
        ("photos[]", "2.txt"),
    ]


@pytest.mark.parametrize(
    ("given_name", "safe"),
    [
        ("plan.pdf", "plan.pdf"),
        ("Übersicht März.xlsx", "Übersicht März.xlsx"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\cv.doc", "cv.doc"),
        ("a\r\nX-Evil: 1.txt", "a X-Evil_ 1.txt"),
        ("a\x00b.txt", "ab.txt"),
        ("fdp.\u202eexe.scr", "fdp.exe.scr"),
        ("a\ud800b.txt", "ab.txt"),
        ('a";filename="b.exe', "a__filename=_b.exe"),
        ("<img src=x>.png", "_img src=x_.png"),
        (".htaccess", "htaccess"),
        ("report.pdf. . ", "report.pdf"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("..", "file"),
        ("/", "file"),
        ("", "file"),
        ("\u202e\u200b", "file"),
        ("日本語.pdf", "日本語.pdf"),
        ("a\u0308.txt", "ä.txt"),
    ],
)
def test_a_name_is_made_safe(given_name: str, safe: str) -> None:
    assert safe_name(given_name) == safe


def test_a_long_name_keeps_its_ending() -> None:
    name = safe_name("ü" * 400 + ".pdf")
    assert name.endswith("ü.pdf")
    assert len(name.encode()) <= LONGEST_NAME


def test_an_endless_ending_is_cut_too() -> None:
    assert len(safe_name("a." + "b" * 400)) == LONGEST_NAME


@pytest.mark.parametrize("odd", ["", "text", "a b/c", "text/" + "x" * 300, "<b>/x", "täxt/plain"])
def test_a_type_that_is_none_becomes_bytes(odd: str) -> None:
    (upload,) = read_uploads([posted(content_type=odd)])
    assert upload.content_type in ("application/octet-stream", "text/html")
    assert "\n" not in upload.content_type


def test_the_name_of_a_field_is_made_safe_too() -> None:
    (upload,) = read_uploads([posted(name="a\x00\r\nb" + "c" * 300)])
    assert upload.field.startswith("a bc")
    assert len(upload.field) == 200


@given(st.text(max_size=300))
def test_no_name_breaks_a_header_or_leaves_its_folder(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert safe.isprintable()
    assert not set(safe) & set('/\\"<>:|?*;\r\n')
    assert not safe.startswith(".")
    assert len(safe.encode()) <= LONGEST_NAME
    assert safe_name(safe) == safe

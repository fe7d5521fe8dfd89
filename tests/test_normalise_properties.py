"""What holds for every value that is normalised."""

import re
import unicodedata

import phonenumbers
from hypothesis import assume, example, given
from hypothesis import strategies as st
from phonenumbers import SUPPORTED_REGIONS, PhoneNumberFormat

from leadapp.rules.normalise import DEEPEST, Kind, kind_by_name, normalise, together
from leadapp.rules.values import BLANK, NO, YES, email_of, number_of, phone_of, says, text_of, trimmed, truth_of
from tests.lead_shapes import FEW, blanks, scalars, texts, trees, values, words

COUNTRIES = st.sampled_from(["", "DE", "US", "FR", "XX"])
KINDS = st.dictionaries(st.tuples(st.sampled_from(["a", "b", "zip", "is_owner", "email"])), st.sampled_from(Kind))
FORMATS = st.sampled_from(
    [PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.RFC3966, PhoneNumberFormat.NATIONAL]
)


def shape(value):
    """The names and lengths of a value, without what it says."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return [shape(one) for one in value] if isinstance(value, list) else None


def leaves(value):
    if isinstance(value, dict | list):
        return [leaf for one in (value.values() if isinstance(value, dict) else value) for leaf in leaves(one)]
    return [value]


@FEW
@given(trees, KINDS, COUNTRIES)
def test_normalising_twice_is_normalising_once(tree, kinds, country):
    once = normalise(tree, kinds, country)
    assert normalise(once, kinds, country) == once


@FEW
@given(trees, KINDS)
def test_no_field_comes_or_goes(tree, kinds):
    assert shape(normalise(tree, kinds)) == shape(tree)


@FEW
@given(values)
def test_a_field_of_no_known_kind_is_only_trimmed(value):
    def neutral(one):
        if isinstance(one, dict):
            return {f"q{number}": neutral(below) for number, below in enumerate(one.values())}
        return [neutral(below) for below in one] if isinstance(one, list) else one

    came = leaves(neutral(value))
    normal = leaves(normalise({"message": neutral(value)}, {}))
    assert [repr(one) for one in normal] == [repr(trimmed(one) if isinstance(one, str) else one) for one in came]


@FEW
@given(blanks, st.text(max_size=20), blanks)
def test_a_trimmed_text_has_no_blank_at_its_ends_and_all_of_its_middle(left, text, right):
    result = trimmed(left + text + right)
    assert result == trimmed(text)
    assert result in text
    assert not result or (
        result[0] not in BLANK and result[-1] not in BLANK and not result[0].isspace() and not result[-1].isspace()
    )


def test_all_white_space_of_unicode_is_blank():
    assert [letter for letter in map(chr, range(0x110000)) if letter.isspace() and trimmed(letter)] == []


@FEW
@given(st.sampled_from(sorted(YES | NO)), blanks, st.sampled_from([str.upper, str.title, str.lower, str.swapcase]))
@example("hayir", "", str.upper)
def test_a_word_means_the_same_in_any_case_and_between_blanks(word, blank, cased):
    assume(cased(word).casefold() == word)
    assert truth_of(blank + cased(word) + blank) is (word in YES)


def test_no_word_means_yes_and_no():
    assert not YES & NO
    assert [word for word in YES if truth_of(word) is not True] + [
        word for word in NO if truth_of(word) is not False
    ] == []


@FEW
@given(st.one_of(scalars, st.from_regex(r"[jynofst1][a-z]{0,4}[ .!]?", fullmatch=True)))
def test_what_is_no_word_for_yes_or_no_is_left_alone(value):
    word = unicodedata.normalize("NFKC", text_of(value) or "").casefold().rstrip(" .!")
    assume(word not in YES | NO)
    assert truth_of(value) is None
    assert normalise({"is_owner": value}, {})["is_owner"] == (trimmed(value) if isinstance(value, str) else value)


@FEW
@given(st.sampled_from(["q", "is_owner", "email", "zip"]), st.sampled_from(sorted(YES)), st.integers(0, 9))
def test_what_is_said_of_a_field_goes_before_its_name(name, word, number):
    def kept(kind, value):
        return normalise({name: value}, {(name,): kind})[name]

    assert kept(Kind.BOOLEAN, word) is True
    assert kept(Kind.TEXT, number) == str(number)
    assert kept(Kind.EMAIL, "A@B.Example") == "a@b.example"
    assert (kept(Kind.PLAIN, word), kept(Kind.PLAIN, "A@B.Example"), kept(Kind.PLAIN, number)) == (
        word,
        "A@B.Example",
        number,
    )


@FEW
@given(words, words, st.sampled_from(["example", "Example.COM"]), blanks)
def test_an_address_comes_out_small_and_stays_so(local, name, domain, blank):
    address = f"{local}@{domain}.org"
    assume(re.fullmatch(r"[^@\s<>,;\"]+", local) and not set(name) & set("<>"))
    assume(address.lower() == trimmed(address).lower())
    assert email_of(blank + address + blank) == address.lower()
    assert email_of(f"{name} <{address}>") == address.lower()
    assert email_of(address.lower()) == address.lower()


@FEW
@given(
    st.one_of(
        texts,
        st.emails(),
        scalars,
        st.builds("{}@{}".format, st.text("ab <.", max_size=2), st.text("ab. @>", max_size=4)),
    )
)
def test_what_is_read_as_an_address_has_one_at_and_no_blank(value):
    address = email_of(value)
    assert address is None or (
        address.count("@") == 1
        and "." in address.partition("@")[2]
        and not re.search(r"\s", address)
        and address == address.lower()
    )


@FEW
@given(st.sampled_from(sorted(SUPPORTED_REGIONS)), FORMATS)
def test_a_number_of_any_country_is_read_however_it_is_written(country, form):
    number = phonenumbers.example_number(country)
    normal = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    written = phonenumbers.format_number(number, form).removeprefix("tel:")
    assert phone_of(written, country) == normal
    assert phone_of(written, country.lower()) == normal
    if form != PhoneNumberFormat.NATIONAL:
        assert phone_of(written, "") == normal


@FEW
@given(st.one_of(st.text("+0123456789 ()-/.x", max_size=24), texts, st.integers(0, 10**15)), COUNTRIES, COUNTRIES)
def test_what_is_read_as_a_number_is_e_164_and_needs_no_country_any_more(value, country, other):
    number = phone_of(value, country)
    if number is not None:
        assert re.fullmatch(r"\+[1-9][0-9]{4,16}", number)
        assert phone_of(number, other) == number


@FEW
@given(st.from_regex(r"[0-9]{1,10}", fullmatch=True), st.sampled_from(["zip", "PLZ", "postal_code", "address.zip"]))
def test_a_zip_keeps_every_digit(zip_code, name):
    name = name.rpartition(".")[2]
    assert normalise({name: zip_code}, {})[name] == zip_code
    assert normalise({name: int(zip_code)}, {})[name] == str(int(zip_code))
    assert normalise({name: float(int(zip_code))}, {})[name] == str(int(zip_code))


@FEW
@given(st.integers(-(10**14), 10**14), st.integers(0, 99), blanks)
def test_a_number_survives_being_written(number, cents, blank):
    assert number_of(f"{blank}{number}{blank}") == number
    assert number_of(f"{number % 1000},{cents:02}") == float(f"{number % 1000}.{cents:02}")


@FEW
@given(st.integers(1, 10**14), st.integers(0, 999), st.sampled_from(["", "-", "+"]))
def test_a_sign_and_three_digits_may_mean_thousands_whichever_sign_it_is(whole, rest, prefix):
    for sign in ",.":
        assert number_of(f"{prefix}{whole}{sign}{rest:03}") is None
        assert number_of(f"{prefix}0{sign}{rest:03}") == float(f"{prefix}0.{rest:03}")
        assert number_of(f"{prefix}{whole}{sign}{rest:03}0") == float(f"{prefix}{whole}.{rest:03}")


@FEW
@given(scalars, st.one_of(words, st.integers(0, 9), st.booleans()))
def test_a_value_says_one_thing_however_it_is_cased_and_padded(value, wanted):
    assume(not isinstance(value, str) or value.swapcase().casefold() == value.casefold())
    padded = f"\u200b{value.swapcase()} " if isinstance(value, str) else value
    assert says(padded, wanted) is says(value, wanted)
    assert says(wanted, wanted)


@FEW
@given(st.text(max_size=30))
def test_any_name_has_a_kind_or_none_and_casing_changes_no_list_name(name):
    kind = kind_by_name(name)
    if kind is not None and kind is not Kind.BOOLEAN:
        assert kind_by_name(f"_{name.upper()}-") in (kind, None)
    assert kind in (None, *Kind)


@FEW
@given(st.integers(1, 200), st.sampled_from(["x", "", "zip", "0"]))
def test_depth_is_bounded_and_nothing_is_lost_below(levels, name):
    tree = " a "
    for _ in range(levels):
        tree = {name: tree}
    normal = normalise(tree, {})
    assert shape(normal) == shape(tree)
    assert leaves(normal) == ["a" if levels <= DEEPEST else " a "]


@given(st.booleans(), st.sampled_from(["zip", "plz", "a"]), COUNTRIES)
def test_a_truth_is_no_number_and_no_text_whatever_the_field(value, name, country):
    assert number_of(value) is None
    for kind in set(Kind) - {Kind.BOOLEAN}:
        assert normalise({name: value}, {(name,): kind}, country)[name] is value


@given(st.text("abc", min_size=1, max_size=400), st.integers(0, 400))
def test_no_address_is_longer_than_any_server_takes(local, more):
    found = email_of(f"{local}@{'d' * more}x.example")
    assert (found is None) == (len(local) + more + len("@x.example") > 320)


@given(st.lists(st.tuples(st.sampled_from([("a",), ("b",), ("c",)]), st.sampled_from(Kind)), max_size=6))
def test_a_field_of_which_two_things_are_said_is_plain(said):
    kinds = together(said)
    assert kinds == together(reversed(said))
    for path, kind in kinds.items():
        asked = {one for where, one in said if where == path}
        assert kind is (asked.pop() if len(asked) == 1 else Kind.PLAIN)

"""docs/rules.md says what the code does: its examples are run."""

import json
import re

from leadapp.config import ROOT
from leadapp.deliveries.meanings import Meaning, read_meanings
from leadapp.rules.attributes import Type
from leadapp.rules.checks import Check
from leadapp.rules.mapping import DEFAULT_MAPPING_PATH, read_mapping
from leadapp.rules.pipeline import Plan, run
from leadapp.rules.ruleset import DEFAULT_RULES, read_rules

PAGE = (ROOT / "docs" / "rules.md").read_text()
CONSTANTS = {"CUSTOMER_PRODUCT_NAME": "Website lead"}
DELIVERED, BODY, REJECTED, RULES, MAPPING, ANSWERS = re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", PAGE, re.MULTILINE)
PLAN = Plan(read_rules(RULES), read_mapping(MAPPING, CONSTANTS), "DE")


def test_the_rules_and_the_mapping_on_the_page_are_the_shipped_ones():
    assert json.loads(RULES) == json.loads(DEFAULT_RULES)
    assert list(json.loads(MAPPING).items()) == list(json.loads(DEFAULT_MAPPING_PATH.read_text()).items())


def test_the_delivered_lead_on_the_page_is_delivered_so():
    assert run(json.loads(DELIVERED), PLAN).mapped == json.loads(BODY)


def test_the_rejected_lead_on_the_page_is_rejected_so():
    (problem,) = run(json.loads(REJECTED), PLAN).problems
    assert f"| {problem.code} | `{problem.field}` | {problem.message} |" in PAGE


def test_every_check_type_and_meaning_is_on_the_page():
    assert [name for name in (*Check, *Type, *Meaning) if f"`{name}`" not in PAGE] == []


def test_every_example_of_a_mapping_can_be_used():
    section = PAGE.partition("| where from | example |")[2].partition("\n\n")[0]
    examples = re.findall(r"`([{\"].*?)`(?:[;,] | \|)", section)
    assert len(examples) == 10
    for example in examples:
        read_mapping(f'{{"t": {example}}}', CONSTANTS)


def test_the_table_of_answers_on_the_page_can_be_used():
    assert len(read_meanings(ANSWERS)) == 3

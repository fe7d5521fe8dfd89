"""Payloads as the senders of leadapp.leads.senders document them; bodies, and headers signed with a secret."""

import base64
import copy
import hashlib
import hmac
import json
from typing import Any

SECRET = "s3cret of the form, ünïcode too"

GOOGLE = {
    "lead_id": "TeSter-123-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "user_column_data": [
        {"column_name": "Full Name", "string_value": "Ada Lovelace", "column_id": "FULL_NAME"},
        {"column_name": "User Email", "string_value": "ada@example.com", "column_id": "EMAIL"},
        {"column_name": "User Phone", "string_value": "+16505550123", "column_id": "PHONE_NUMBER"},
        {"column_name": "Postal Code", "string_value": "66123", "column_id": "POSTAL_CODE"},
        {"column_name": "When do you want to start?", "string_value": "This year", "column_id": "QUESTION_1"},
        {"string_value": "Two floors", "column_id": "What shall we build?"},
    ],
    "api_version": "1.0",
    "form_id": 0,
    "campaign_id": 123456789012345678,
    "adgroup_id": 20000000000,
    "creative_id": 30000000000,
    "gcl_id": "EAIaIQobChMI",
    "google_key": SECRET,
    "is_test": True,
}
META = {
    "object": "page",
    "entry": [
        {
            "id": "153125381133",
            "time": 1438292065,
            "changes": [
                {
                    "field": "leadgen",
                    "value": {
                        "leadgen_id": 123123123123,
                        "page_id": 123123123,
                        "form_id": 12312312312,
                        "adgroup_id": 12312312312,
                        "ad_id": 12312312312,
                        "created_time": 1440120384,
                    },
                },
                {"field": "leadgen", "value": {"leadgen_id": "9223372036854775807", "page_id": 123123123}},
                {"field": "feed", "value": {"item": "post"}},
            ],
        }
    ],
}
TYPEFORM = {
    "event_id": "LtWXD3crgy",
    "event_type": "form_response",
    "form_response": {
        "form_id": "lT4Z3j",
        "token": "a3a12ec67a1365927098a606107fac15",
        "submitted_at": "2018-01-18T18:17:02Z",
        "landed_at": "2018-01-18T18:07:02Z",
        "hidden": {"utm_source": "newsletter", "user_id": "abc123456"},
        "calculated": {"score": 9},
        "definition": {
            "id": "lT4Z3j",
            "title": "Webhooks example",
            "fields": [
                {"id": "DlXFaesGBpoF", "title": "Thanks, what is your name?", "type": "short_text", "ref": "01F"},
                {"id": "SMEUb7VJz92Q", "title": "Where do we reach you?", "type": "email", "ref": "02F"},
                {"id": "JwWggjAKtOkA", "title": "And if it is urgent?", "type": "phone_number", "ref": "03F"},
                {"id": "k6TP9oLGgHjl", "title": "Which of these do you need?", "type": "multiple_choice", "ref": "04F"},
                {"id": "KoJxDM3c6x8h", "title": "How soon?", "type": "multiple_choice", "ref": "05F"},
                {"id": "PNe8ZKBK8C2Q", "title": "Do you own the house?", "type": "yes_no", "ref": "house_owner"},
                {"id": "Q7M2XAwY04dW", "title": "Rooms", "type": "number", "ref": "06F"},
                {"id": "WOTdC00F8A3h", "title": "Plans", "type": "file_upload", "ref": "07F"},
                {
                    "id": "group1",
                    "title": "Address",
                    "type": "group",
                    "properties": {"fields": [{"id": "zip1", "title": "Zip", "type": "short_text"}]},
                },
            ],
        },
        "answers": [
            {
                "type": "text",
                "text": "Ada Lovelace",
                "field": {"id": "DlXFaesGBpoF", "type": "short_text", "ref": "01F"},
            },
            {"type": "email", "email": "ada@example.com", "field": {"id": "SMEUb7VJz92Q", "type": "email"}},
            {
                "type": "phone_number",
                "phone_number": "01512345",
                "field": {"id": "JwWggjAKtOkA", "type": "phone_number"},
            },
            {
                "type": "choices",
                "choices": {"labels": ["Roof", "Floor"], "other": "A moat"},
                "field": {"id": "k6TP9oLGgHjl", "type": "multiple_choice"},
            },
            {"type": "choice", "choice": {"label": "Soon"}, "field": {"id": "KoJxDM3c6x8h", "type": "multiple_choice"}},
            {"type": "boolean", "boolean": False, "field": {"id": "PNe8ZKBK8C2Q", "type": "yes_no"}},
            {"type": "number", "number": 0, "field": {"id": "Q7M2XAwY04dW", "type": "number"}},
            {
                "type": "file_url",
                "file_url": "https://api.typeform.com/forms/x/plan.pdf",
                "field": {"id": "WOTdC00F8A3h", "type": "file_upload"},
            },
            {"type": "text", "text": "66123", "field": {"id": "zip1", "type": "short_text"}},
            {
                "type": "payment",
                "payment": {"amount": "$1", "last4": "1234", "name": "A L", "success": True},
                "field": {"id": "gone", "type": "payment", "ref": "pay"},
            },
        ],
    },
}
TALLY = {
    "eventId": "a4cb511e-d513-4fa5-baee-b815d718dfd1",
    "eventType": "FORM_RESPONSE",
    "createdAt": "2023-06-28T15:00:21.889Z",
    "data": {
        "responseId": "2wgx4n",
        "submissionId": "2wgx4n",
        "respondentId": "dwQKYm",
        "formId": "VwbNEw",
        "formName": "Webhook payload",
        "createdAt": "2023-06-28T15:00:21.000Z",
        "fields": [
            {"key": "question_3EKz4n", "label": "Wie heißen Sie?", "type": "INPUT_TEXT", "value": "Ada Lovelace"},
            {"key": "question_w4Q4Xn", "label": "Erreichbar unter", "type": "INPUT_EMAIL", "value": "ada@example.com"},
            {"key": "question_mJ5ZWe", "label": None, "type": "INPUT_PHONE_NUMBER", "value": "+32473123456"},
            {
                "key": "question_3jZaa3",
                "label": "Roof or floor",
                "type": "MULTIPLE_CHOICE",
                "value": ["e7bfbbc6"],
                "options": [{"id": "e7bfbbc6", "text": "Roof"}, {"id": "f1cbaab0", "text": "Floor"}],
            },
            {
                "key": "question_w2XJjg",
                "label": "Days",
                "type": "CHECKBOXES",
                "value": ["b7dd9d4f", "a0e5ee70"],
                "options": [{"id": "b7dd9d4f", "text": "Mon"}, {"id": "a0e5ee70", "text": "Tue"}],
            },
            {"key": "question_w2XJjg_b7dd9d4f", "label": "Days (Mon)", "type": "CHECKBOXES", "value": True},
            {"key": "question_w2XJjg_a0e5ee70", "label": "Days (Tue)", "type": "CHECKBOXES", "value": True},
            {"key": "question_3xJQ6w", "label": "Rooms", "type": "LINEAR_SCALE", "value": 0},
            {
                "key": "question_wzoLNa",
                "label": "Plans",
                "type": "FILE_UPLOAD",
                "value": [{"id": "1", "name": "a.pdf", "url": "https://storage.example/a.pdf", "size": 1}],
            },
            {
                "key": "question_matrix",
                "label": "Mood",
                "type": "MATRIX",
                "value": {"r1": ["c1"], "r2": ["c2"]},
                "rows": [{"id": "r1", "text": "Morning"}, {"id": "r2", "text": "Evening"}],
                "columns": [{"id": "c1", "text": "Good"}, {"id": "c2", "text": "Bad"}],
            },
            {"key": "question_hidden", "label": "utm_campaign", "type": "HIDDEN_FIELDS", "value": "spring"},
            {"key": "question_none", "label": "Left empty", "type": "INPUT_TEXT", "value": None},
        ],
    },
}
HUBSPOT = {
    "submittedAt": "1517927174000",
    "fields": [
        {"objectTypeId": "0-1", "name": "email", "value": "ada@example.com"},
        {"objectTypeId": "0-1", "name": "firstname", "value": "Ada"},
        {"objectTypeId": "0-1", "name": "lastname", "value": "Lovelace"},
        {"objectTypeId": "0-2", "name": "zip", "value": "66123"},
    ],
    "context": {
        "hutk": "247fb5d2",
        "pageUri": "https://shop.example/contact?utm_source=ad",
        "pageName": "Contact",
    },
    "legalConsentOptions": {"consent": {"consentToProcess": True, "text": "I agree"}},
}
WHATCONVERTS = {
    "trigger": "new",
    "lead_id": 153928,
    "user_id": "51497-af17340d",
    "lead_type": "Web Form",
    "lead_status": "Unique",
    "lead_analysis": {"Lead Summary": "Wants call tracking."},
    "date_created": "2016-02-01T14:09:01Z",
    "quotable": "Not Set",
    "quote_value": None,
    "profile": "My Profile",
    "lead_url": "https://www.shop.example/contact",
    "landing_url": "https://www.shop.example/",
    "additional_fields": {
        "full_name": "Ada Lovelace",
        "email_address": "ada@example.com",
        "message": "Hello, I like your service!",
    },
    "lead_source": "google",
    "lead_medium": "cpc",
    "lead_campaign": "lead generation",
    "lead_keyword": "generating leads",
    "ip_address": "107.210.21.188",
    "contact_name": "Ada Lovelace",
    "contact_company_name": "Analytical Engines",
    "contact_email_address": "ada@example.com",
    "contact_phone_number": "+17044695324",
    "email_address": "ada@example.com",
    "phone_number": "+17044695324",
    "city": "Charlotte",
    "zip": "28226",
}
WUFOO = {
    "Field1": "Ada",
    "Field2": "Lovelace",
    "Field4": "ada@example.com",
    "Field5": "Please call me about the roof.",
    "Field6": "",
    "Field106": "66123",
    "CreatedBy": "public",
    "DateCreated": "2026-11-22 05:31:00",
    "EntryId": "17",
    "IP": "192.0.2.1",
    "HandshakeKey": SECRET,
    "FieldStructure": json.dumps(
        {
            "Fields": [
                {
                    "Title": "Name",
                    "Type": "shortname",
                    "ID": "Field1",
                    "SubFields": [
                        {"DefaultVal": "", "ID": "Field1", "Label": "First"},
                        {"DefaultVal": "", "ID": "Field2", "Label": "Last"},
                    ],
                },
                {"Title": "How do we reach you?", "Type": "email", "ID": "Field4"},
                {"Title": "What is it about?", "Type": "textarea", "ID": "Field5"},
                {"Title": "Anything else?", "Type": "text", "ID": "Field6"},
                {
                    "Title": "Address",
                    "Type": "address",
                    "ID": "Field102",
                    "SubFields": [{"ID": "Field106", "Label": "Postal / Zip Code"}],
                },
            ]
        }
    ),
    "FormStructure": '{"Name": "Contact Form", "Hash": "q7x1a9"}',
}
ELEMENTOR = {
    "form[id]": "a1b2c3d",
    "form[name]": "New Form",
    "fields[name][id]": "name",
    "fields[name][type]": "text",
    "fields[name][title]": "",
    "fields[name][value]": "Ada Lovelace",
    "fields[name][raw_value]": "Ada Lovelace",
    "fields[name][required]": "0",
    "fields[email][id]": "email",
    "fields[email][type]": "email",
    "fields[email][title]": "Seu melhor email",
    "fields[email][value]": "ada@example.com",
    "fields[field_6f8642e][id]": "field_6f8642e",
    "fields[field_6f8642e][type]": "tel",
    "fields[field_6f8642e][title]": "Any time?",
    "fields[field_6f8642e][value]": "96991712835",
    "fields[field_1][id]": "field_1",
    "fields[field_1][type]": "textarea",
    "fields[field_1][title]": "What shall we build for you?",
    "fields[field_1][value]": "A house with two floors",
    "fields[utm_source][id]": "utm_source",
    "fields[utm_source][value]": "ig",
    "meta[date][title]": "Date",
    "meta[date][value]": "16/09/2026",
    "meta[page_url][title]": "Page URL",
    "meta[page_url][value]": "https://shop.example/contact/",
    "meta[remote_ip][value]": "192.0.2.1",
    "meta[credit][value]": "Elementor",
}
NETLIFY = {
    "number": 7,
    "title": None,
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "company": None,
    "summary": "Hello",
    "body": "Hello",
    "data": {"name": "Ada Lovelace", "email": "ada@example.com", "message": "Hello", "referrer": "https://x.example/"},
    "created_at": "2026-11-22T05:31:00.000Z",
    "human_fields": {"Name": "Ada Lovelace", "Email": "ada@example.com", "Message": "Hello"},
    "ordered_human_fields": [{"title": "Name", "name": "name", "value": "Ada Lovelace"}],
    "id": "64f0c0ffee",
    "form_id": "64f0",
    "site_url": "http://shop.example",
    "form_name": "contact",
}
FORMSPREE = {"form": "mqkrvyyz", "submission": {"_date": "2026-11-22", "name": "Ada", "email": "ada@example.com"}}
WEBFLOW = {
    "triggerType": "form_submission",
    "payload": {
        "name": "Email Form",
        "siteId": "65427c",
        "data": {"First Name": "Ada", "Email": "ada@example.com"},
        "schema": [{"fieldName": "First Name"}],
        "submittedAt": "2022-09-14T12:35:16.117Z",
        "id": "6321ca84df3949bfc6752327",
        "formId": "65429eadebe8a9f3a30f62d0",
    },
}
FLAT = {
    "email": "user@example.com",
    "address": {"zip": "66123", "street": "123 Main St"},
    "house": {"is_owner": True},
}

# Sender -> its payload; what is sent as pairs is in PAIRS
PAYLOADS: dict[str, dict[str, Any]] = {
    "google_ads": GOOGLE,
    "meta": META,
    "typeform": TYPEFORM,
    "tally": TALLY,
    "hubspot": HUBSPOT,
    "whatconverts": WHATCONVERTS,
    "wufoo": WUFOO,
    "elementor": ELEMENTOR,
    "wrapped": NETLIFY,
    "flat": FLAT,
}
PAIRS = {"wufoo", "elementor"}


def payload(name: str) -> dict[str, Any]:
    return copy.deepcopy(PAYLOADS[name])


def signed(name: str, raw: bytes, secret: str = SECRET) -> dict[str, str]:
    """The headers by which this sender proves itself."""
    digest = hmac.new(secret.encode(), raw, hashlib.sha256)
    plain = base64.b64encode(digest.digest()).decode()
    return {
        "meta": {"X-Hub-Signature-256": f"sha256={digest.hexdigest()}"},
        "typeform": {"Typeform-Signature": f"sha256={plain}"},
        "tally": {"Tally-Signature": plain},
    }.get(name, {})

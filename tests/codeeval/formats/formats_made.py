"""Small files in the forms that other tools write, made here: one right and one wrong reply for HumanEval/2 and /45."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib

import zstandard

RIGHT = {"HumanEval/2": "    return number % 1.0\n", "HumanEval/45": "    return a * h / 2\n"}
WRONG = {"HumanEval/2": "    return number\n", "HumanEval/45": "    return a * h\n"}


def lines(records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def pairs(problems):
    """Yield each problem with its right and its wrong body."""
    for problem in problems:
        if problem.task_id in RIGHT:
            yield problem, RIGHT[problem.task_id], WRONG[problem.task_id]


def fenced(program):
    return f"Here it is:\n```python\n{program}```\n"


def human_eval(problems):
    for p, right, wrong in pairs(problems):
        yield from ({"task_id": p.task_id, "completion": right, "passed": True},
                    {"task_id": p.task_id, "completion": wrong, "passed": False})  # fmt: skip


def evalplus(problems):
    for p, right, wrong in pairs(problems):
        yield from ({"task_id": p.task_id, "solution": p.prompt + body} for body in (right, wrong))


def bigcodebench(problems):
    for p, right, wrong in pairs(problems):
        for body in (right, wrong):
            yield {"task_id": p.task_id, "solution": p.prompt + body, "raw_solution": fenced(p.prompt + body)}


def evalplus_results(problems):
    found = {
        p.task_id: [
            {"task_id": p.task_id, "solution": p.prompt + body, "base_status": status, "plus_status": status}
            for body, status in ((right, "pass"), (wrong, "fail"))
        ]
        for p, right, wrong in pairs(problems)
    }
    return {"date": "2026-01-01 00:00", "hash": "0", "eval": found}


def bigcodebench_results(problems):
    found = evalplus_results(problems)
    found["eval"] = {
        name: [{"task_id": name, "solution": r["solution"], "status": r["base_status"], "details": {}} for r in entries]
        for name, entries in found["eval"].items()
    }
    return {"date": found["date"], "eval": found["eval"]}


def lm_eval(problems, *, nested=True, one_each=False):
    for number, (p, right, wrong) in enumerate(pairs(problems)):
        bodies = [right] if one_each else [right, wrong]
        programs = [p.prompt + body for body in bodies]
        yield {
            "doc_id": 7 - number,
            "doc": {"task_id": p.task_id, "prompt": p.prompt},
            "target": "",
            "arguments": {"gen_args_0": {"arg_0": "Write.\n```python\n" + p.prompt + "\n", "arg_1": {"until": []}}},
            "resps": [bodies] if nested else bodies,
            "filtered_resps": [programs] if nested else programs,
            "filter": "create_test",
            "metrics": ["pass@1"],
            "pass@1": 1.0 if one_each else 0.5,
        }


def inspect_sample(p, body, epoch, score, content=None):
    return {
        "id": p.task_id,
        "epoch": epoch,
        "output": {"choices": [{"message": {"role": "assistant", "content": content or fenced(p.prompt + body)}}]},
        "scores": {"verify": {"value": score, "answer": body}},
        "metadata": {"prompt": p.prompt, "entry_point": p.entry_point},
        "attachments": {},
    }  # fmt: skip


def inspect_samples(problems):
    for p, right, wrong in pairs(problems):
        parts = [
            {"type": "reasoning", "reasoning": f"maybe {wrong}"},
            {"type": "text", "text": fenced(p.prompt + right)},
        ]
        yield inspect_sample(p, right, 1, "C", parts)
        yield inspect_sample(p, wrong, 2, 0.0)


def inspect_json(problems):
    return {
        "version": 2,
        "status": "success",
        "eval": {"task": "humaneval"},
        "samples": list(inspect_samples(problems)),
    }


def inspect_eval(problems, *, packed=True):
    """Return an .eval file; Python cannot write members of method 93 itself, so their heads are written here."""
    members = {"header.json": b"{}"}
    for sample in inspect_samples(problems):
        members[f"samples/{sample['id']}_epoch_{sample['epoch']}.json"] = json.dumps(sample).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return zstandard_zip(members) if packed else out.getvalue()


def zstandard_zip(members):
    body, directory = b"", b""
    for name, data in members.items():
        packed = zstandard.ZstdCompressor().compress(data)
        fields = (
            (93).to_bytes(2, "little") + bytes(4) + zlib.crc32(data).to_bytes(4, "little")
            + len(packed).to_bytes(4, "little") + len(data).to_bytes(4, "little")
            + len(name.encode()).to_bytes(2, "little") + bytes(2)
        )  # fmt: skip
        version = (63).to_bytes(2, "little")
        directory += (
            b"PK\x01\x02"
            + version
            + version
            + bytes(2)
            + fields
            + bytes(10)
            + len(body).to_bytes(4, "little")
            + name.encode()
        )
        body += b"PK\x03\x04" + version + bytes(2) + fields + name.encode() + packed
    count = len(members).to_bytes(2, "little")
    end = b"PK\x05\x06" + bytes(4) + count + count + len(directory).to_bytes(4, "little")
    return body + directory + end + len(body).to_bytes(4, "little") + bytes(2)


def bigcode(problems, *, prompt=True):
    """Return a list for each problem given, bodies where there is no prompt; others have a body that does nothing."""
    found = []
    for p in problems:
        bodies = (RIGHT.get(p.task_id, "    pass\n"), WRONG.get(p.task_id, "    return 1\n"))
        found.append([p.prompt.strip() + "\n" + body if prompt else body for body in bodies])
    return found


def opencompass(problems):
    replies = [(p, fenced(p.prompt + body)) for p, right, wrong in pairs(problems) for body in (right, wrong)]
    return {
        str(at): {"origin_prompt": [{"role": "HUMAN", "prompt": p.prompt}], "prediction": text, "gold": p.task_id}
        for at, (p, text) in enumerate(replies)
    }


def opencompass_lines(problems):
    yield from ({"idx": key, **value} for key, value in opencompass(problems).items())


def openai_batch(problems):
    for p, right, wrong in pairs(problems):
        choices = [
            {
                "index": 0,
                "message": {"role": "assistant", "content": fenced(p.prompt + right)},
                "finish_reason": "stop",
            },
            {
                "index": 1,
                "message": {"role": "assistant", "content": [{"type": "text", "text": fenced(p.prompt + wrong)}]},
            },
        ]
        yield {
            "id": "batch_req_1",
            "custom_id": p.task_id,
            "response": {"status_code": 200, "request_id": "r", "body": {"choices": choices}},
            "error": None,
        }


def packed(data):
    return gzip.compress(data)

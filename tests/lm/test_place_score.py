import pytest

from trimtab.lm import place_score
from trimtab.lm.text_pool import PoolDocument


def documents(*lengths):
    found, start = [], 0
    for number, length in enumerate(lengths):
        found.append(
            PoolDocument(
                unit_id=str(number), domain="ab"[number % 2], start=start, length=length, scored=1, num_bytes=1
            )
        )
        start += length
    return found


@pytest.mark.parametrize("order", ["shuffled", "by_domain"])
def test_batches_hold_whole_documents_each_once_and_no_more_tokens_than_asked(order):
    texts = documents(*[5, 9, 30, 12, 4, 8, 7, 11] * 4)
    batches = place_score.batches(texts, order=order, batch_tokens=25)
    assert sorted(document.start for batch in batches for document in batch) == [text.start for text in texts]
    assert all(len(batch) == 1 or sum(each.length for each in batch) <= 25 for batch in batches)
    assert [len(batch) for batch in batches if batch[0].length == 30] == [1] * 4  # one long document: more
    domains = [{document.domain for document in batch} for batch in batches]
    assert all(len(found) == 1 for found in domains) == (order == "by_domain")
    assert batches == place_score.batches(texts, order=order, batch_tokens=25)

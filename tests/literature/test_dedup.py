"""Merging against a brute-force oracle, and the cases in which it must not merge."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.documents.work import Author, Identifiers, Retraction, Version, Work
from trimtab.literature.database import Found
from trimtab.literature.dedup import deduplicate


def found(title, author="Wang", year=2024, *, database="A", related=(), notices=(), **ids):
    version = Version(name="published", doi=ids["doi"]) if ids.get("doi") else Version(name="v1", year=year)
    work = Work(
        id=next((f"{kind}:{value}" for kind, value in ids.items()), f"x:{title}{author}{year}{database}"),
        title=title,
        authors=(Author(family=author),) if author else (),
        year=year,
        ids=Identifiers(**ids),
        versions=(version,),
    )
    return Found(work=work, database=database, related=related, notices=notices)


def partition(records):
    """The works as sets of positions."""
    result = deduplicate(records)
    return {frozenset(map(id, merged.records)) for merged in result.works}


def test_identifiers_join_across_databases_and_transitively():
    a = found("One title", doi="10.1/a")
    b = found("Entirely different", doi="10.1/a", arxiv="2401.00001")
    c = found("Third", arxiv="2401.00001", s2="s")
    d = found("Fourth", s2="s", year=1990)
    e = found("Fifth", doi="10.1/e", related=("10.1/a",))
    result = deduplicate([a, b, c, d, e])
    assert len(result.works) == 1
    assert len(result.merges) == 4
    assert result.works[0].work.id == "arxiv:2401.00001"
    assert result.works[0].work.year == 1990


def test_a_merge_takes_the_longest_abstract_and_any_retraction():
    one, other = found("One title", doi="10.1/a"), found("One title", doi="10.1/a", database="B")
    told = Retraction(kind="retraction", notice="10.1/n")
    other = replace(other, work=replace(other.work, abstract="a longer text", retraction=told))
    (merged,) = deduplicate([replace(one, work=replace(one.work, abstract="short")), other]).works
    assert (merged.work.abstract, merged.work.retraction) == ("a longer text", told)


def test_title_author_and_year_join_and_nothing_less():
    base = found("Balance of the Experts: a study")
    assert len(deduplicate([base, found("BALANCE of the experts \u2013 a Study.", "W\u00e4ng", 2025)]).works) == 1
    for other in (
        found("Balance of the Experts: a study", "Li"),
        found("Balance of the Experts: a study", year=2026),
        found("Balance of the Experts: another study"),
        found("Balance of the Experts: a study", ""),
    ):
        assert len(deduplicate([base, other]).works) == 2
    assert len(deduplicate([found("Editorial"), found("Editorial", database="B")]).works) == 2


def test_two_published_dois_are_only_possible():
    one, other = found("A very usual title", doi="10.1/a"), found("A very usual title", doi="10.1/b")
    result = deduplicate([one, other, found("A very usual title", database="C")])
    assert len(result.works) == 3
    assert len(result.possible) == 3
    assert "published DOIs differ" in result.possible[0].why


def test_nearly_equal_titles_are_listed_and_never_merged():
    one = found("Auxiliary-loss-free load balancing strategy for experts")
    other = found("Auxiliary-loss-free load balancing strategies for experts")
    result = deduplicate([one, other])
    assert len(result.works) == 2
    assert "titles alike" in result.possible[0].why
    further = found("Auxiliary-loss-free load balancing theory for all experts")  # 0.89 alike: another work
    assert deduplicate([one, further]).possible == ()
    assert deduplicate([one, replace(other, work=replace(other.work, authors=(Author(family="Li"),)))]).possible == ()


def test_versions_are_kept_apart_and_no_author_is_lost():
    preprint = found("A title of some length", arxiv="2401.00001")
    published = found("A title of some length", doi="10.1/a", year=2025)
    published = replace(
        published, work=replace(published.work, authors=(Author(family="Wang"), Author(family="Li", given="A")))
    )
    work = deduplicate([preprint, published]).works[0].work
    assert [(version.name, version.doi) for version in work.versions] == [("v1", ""), ("published", "10.1/a")]
    assert [author.family for author in work.authors] == ["Wang", "Li"]
    assert (work.year, work.ids.doi, work.ids.arxiv) == (2024, "10.1/a", "2401.00001")


def test_a_notice_marks_the_work_it_withdraws():
    work, notice = found("A title of some length", doi="10.1/a"), found("Retraction", doi="10.1/n", notices=("10.1/a",))
    result = deduplicate([work, notice])
    assert result.works[0].work.retraction.notice == "10.1/n"
    assert result.works[1].notice


def joined(a, b):
    """The pairwise rule without the exception for two published DOIs, which these records do not have."""
    if any(
        getattr(a.work.ids, name) and getattr(a.work.ids, name) == getattr(b.work.ids, name) for name in ("arxiv", "s2")
    ):
        return True
    same = a.work.title == b.work.title and a.work.authors == b.work.authors and a.work.authors
    return bool(same and abs(a.work.year - b.work.year) <= 1)


RECORDS = st.lists(
    st.builds(
        found,
        st.sampled_from(["On the balance of loads", "On the loads of balance", "Capacity and its limits"]),
        st.sampled_from(["Wang", "Li"]),
        st.sampled_from([2020, 2021, 2024]),
        arxiv=st.sampled_from(["", "", "2401.00001", "2401.00002"]),
        s2=st.sampled_from(["", "", "p", "q"]),
    ),
    max_size=9,
)


@settings(max_examples=150, deadline=None)
@given(RECORDS)
def test_it_is_the_closure_of_the_pairwise_rule(records):
    groups = [{at} for at in range(len(records))]
    for a in range(len(records)):
        for b in range(a):
            if joined(records[a], records[b]):
                one = next(group for group in groups if a in group)
                other = next(group for group in groups if b in group)
                if one is not other:
                    one |= other
                    groups.remove(other)
    expected = {frozenset(id(records[at]) for at in group) for group in groups}
    assert partition(records) == expected


@settings(max_examples=60, deadline=None)
@given(RECORDS, st.randoms(use_true_random=False))
def test_the_order_of_records_decides_nothing(records, random):
    shuffled = list(records)
    random.shuffle(shuffled)
    assert partition(records) == partition(shuffled)

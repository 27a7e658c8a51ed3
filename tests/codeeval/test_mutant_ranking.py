"""What is ranked is what a model would have to write, in the context in which it would write it."""

import pytest

from trimtab.codeeval import mutant_ranking, problems
from trimtab.sandbox import source


def test_a_plain_problem_is_ranked_after_its_prompt():
    problem = problems.load("humaneval").problems[0]
    found = mutant_ranking.choice(problem, 3)
    assert (found.context, found.right) == (problem.prompt, problem.canonical_solution)
    assert len(set(found.wrong) - {found.right}) == 3


@pytest.mark.parametrize(("name", "without"), [("humaneval-pro", 1), ("mbpp-pro", 0)])
def test_a_self_invoking_problem_is_ranked_after_the_solved_base_problem(published, name, without):
    found = [(problem, mutant_ranking.choice(problem, 3)) for problem in published(name).problems]
    for problem, choice in found:
        assert problem.pro.raw_solution.strip() in choice.context
        assert choice.context.rstrip().endswith(problem.pro.new_problem.strip())
        assert choice.right.strip() == problem.pro.new_solution.strip()
        for text in (choice.right, *choice.wrong):
            source.parse(choice.context + text)
        assert len({choice.right, *choice.wrong}) == 1 + len(choice.wrong)
    assert sum(not choice.wrong for _, choice in found) == without

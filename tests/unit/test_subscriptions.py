"""Subscriptions: pieces, pace, answers, refusals, and what is repeated."""

import json
from typing import Any

import pytest

from hfengine.venues.subscriptions import Answer, Subscriptions

TOPICS = [f"book.{number}" for number in range(7)]


class Desk:
    """Subscriptions whose requests are kept instead of sent."""

    def __init__(self, topics: list[str] = TOPICS, **changes: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        limits: dict[str, Any] = {
            "topics_a_request": 3,
            "characters_a_request": 1000,
            "requests_a_second": 100,
            "answer_max_s": 5.0,
        }
        self.made = Subscriptions(
            topics,
            encode=lambda op, number, names: json.dumps([op, number, names]).encode(),
            send=lambda payload: self.sent.append(json.loads(payload)),
            **{**limits, **changes},
        )

    def accept(self, number: int = 0, now_s: float = 0.0) -> None:
        """Accept one request, or all that were sent."""
        for _, sent, _ in list(self.sent):
            if number in (0, sent):
                self.made.answered(Answer(sent, accepted=True), now_s)


def test_topics_go_out_in_pieces_and_become_active_when_accepted() -> None:
    desk = Desk()
    desk.made.begin(0.0)
    assert [names for _, _, names in desk.sent] == [TOPICS[:3], TOPICS[3:6], TOPICS[6:]]
    assert [op for op, _, _ in desk.sent] == ["subscribe"] * 3
    assert len({number for _, number, _ in desk.sent}) == 3
    assert desk.made.active == set()
    desk.accept(desk.sent[1][1])
    assert desk.made.active == set(TOPICS[3:6])


def test_a_piece_keeps_to_the_characters_the_venue_allows() -> None:
    desk = Desk(characters_a_request=20)
    desk.made.begin(0.0)
    assert [len(names) for _, _, names in desk.sent] == [2, 2, 2, 1]


def test_the_pace_is_kept_and_what_waits_goes_out_later() -> None:
    desk = Desk(topics_a_request=1, requests_a_second=2)
    desk.made.begin(10.0)
    assert len(desk.sent) == 2
    desk.made.pump(10.9)
    assert len(desk.sent) == 2
    desk.made.pump(11.0)
    assert len(desk.sent) == 4


def test_a_refused_piece_is_repeated_topic_by_topic_until_the_bad_one_is_named() -> None:
    desk = Desk(TOPICS[:3])
    desk.made.begin(0.0)
    assert desk.made.answered(Answer(1, accepted=False, message="bad"), 0.0) == []
    assert [names for _, _, names in desk.sent[1:]] == [[topic] for topic in TOPICS[:3]]
    assert desk.made.answered(Answer(2, accepted=False, message="no such"), 0.0) == [TOPICS[0]]
    desk.accept(3)
    desk.accept(4)
    assert desk.made.refused == {TOPICS[0]: "no such"}
    assert desk.made.active == set(TOPICS[1:3])
    sent = len(desk.sent)
    desk.made.renew([TOPICS[0]], 0.0)
    assert len(desk.sent) == sent, "what was refused for good is not asked for again"


def test_an_unanswered_request_is_repeated_once() -> None:
    desk = Desk(TOPICS[:1])
    desk.made.begin(0.0)
    assert desk.made.overdue(4.9) == ""
    assert len(desk.sent) == 1
    assert desk.made.overdue(5.0) == ""
    assert [names for _, _, names in desk.sent] == [TOPICS[:1]] * 2
    assert desk.made.overdue(9.9) == ""
    assert desk.made.overdue(10.0) == "no answer to subscribe book.0"


def test_an_answer_in_time_ends_the_waiting() -> None:
    desk = Desk(TOPICS[:1])
    desk.made.begin(0.0)
    desk.accept(now_s=1.0)
    assert desk.made.overdue(100.0) == ""
    assert len(desk.sent) == 1


def test_renewing_leaves_first_and_what_is_under_way_alone() -> None:
    desk = Desk(TOPICS[:2])
    desk.made.begin(0.0)
    desk.made.renew([TOPICS[0]], 0.0)
    assert len(desk.sent) == 1, "its subscription is under way"
    desk.accept()
    desk.made.renew([TOPICS[0]], 0.0)
    desk.made.renew([TOPICS[0]], 0.0)
    assert [(op, names) for op, _, names in desk.sent[1:]] == [
        ("unsubscribe", [TOPICS[0]]),
        ("subscribe", [TOPICS[0]]),
    ]
    assert desk.made.active == {TOPICS[1]}
    desk.accept()
    assert desk.made.active == set(TOPICS[:2])


def test_leaving_late_would_undo_what_followed_so_it_is_not_repeated() -> None:
    desk = Desk(TOPICS[:1])
    desk.made.begin(0.0)
    desk.accept()
    desk.made.renew(TOPICS[:1], 1.0)
    assert desk.made.overdue(6.0) == "no answer to unsubscribe book.0"


@pytest.mark.parametrize("number", [0, 99])
def test_an_answer_to_nothing_changes_nothing(number: int) -> None:
    desk = Desk()
    desk.made.begin(0.0)
    assert desk.made.answered(Answer(number, accepted=False), 0.0) == []
    assert desk.made.active == set()
    assert desk.made.refused == {}


def test_a_new_connection_begins_anew() -> None:
    desk = Desk(TOPICS[:1], requests_a_second=1)
    desk.made.begin(0.0)
    desk.made.answered(Answer(1, accepted=False, message="no"), 0.0)
    desk.made.end()
    assert desk.made.active == set()
    desk.made.begin(0.1)
    assert desk.made.refused == {}
    assert [names for _, _, names in desk.sent] == [TOPICS[:1]] * 2
    desk.accept(1)
    assert desk.made.active == set(), "an answer on the old connection counts no more"

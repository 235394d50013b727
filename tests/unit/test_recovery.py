"""A start locks the account, opens its state, says what it found, and lets all go at the end."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis.asyncio
from msgspec.structs import replace

from hfengine.clock import VirtualClock
from hfengine.config import Profile, load
from hfengine.messages import Halt, Message
from hfengine.recovery import Recovery, account_id, recover
from hfengine.settings import JournalSettings, Settings, State, Venue
from hfengine.state.lock import AccountBusy, running
from hfengine.venues.keys import ApiKeys
from tests.redis_server import server_or_skip
from tests.rig import T0_NS

KEYS = {"bybit": ApiKeys(key="key-one", secret="s", passphrase="")}
OTHER = {"bybit": ApiKeys(key="key-two", secret="s", passphrase="")}
ACCOUNT = "bybit-0123456789"


def profile(tmp_path: Path, **changes: Any) -> Profile:
    paper = load("paper", environment={})
    settings = replace(
        paper.settings,
        mode="testnet",
        venue=replace(paper.settings.venue, name="bybit"),
        state=State(directory=str(tmp_path / "state")),
        journal=JournalSettings(directory=str(tmp_path / "journals")),
    )
    return replace(paper, settings=replace(settings, **changes))


def recovered(profile: Profile, account: str = ACCOUNT) -> Recovery:
    return recover(profile, account, VirtualClock(T0_NS))


def at(venue: Venue, mode: Any = "testnet") -> Settings:
    return replace(Settings(), mode=mode, venue=venue)


def test_an_account_is_named_after_venue_key_and_mode_without_telling_the_key() -> None:
    bybit = Venue(name="bybit")
    one = account_id(at(bybit), KEYS)
    assert one == account_id(at(bybit), KEYS)
    assert one.startswith("bybit-")
    assert len(one) == len("bybit-") + 10
    assert "key" not in one
    others = {
        account_id(at(bybit), OTHER),
        account_id(at(bybit, "live"), KEYS),
        account_id(at(bybit, "local"), KEYS, url="http://127.0.0.1:1"),
        account_id(at(bybit, "local"), KEYS, url="http://127.0.0.1:2"),
        account_id(at(replace(bybit, url="http://127.0.0.1:3"), "local"), KEYS),
    }
    assert len(others | {one}) == 6


def test_several_venues_are_one_account_and_paper_one_a_profile() -> None:
    both: Mapping[str, ApiKeys] = {**KEYS, "binance": OTHER["bybit"]}
    several = Venue(name="bybit", also=("binance",))
    assert account_id(at(several), both).startswith("bybit+binance-")
    assert account_id(at(Venue(), "paper"), {}, "paper") == "paper-paper"


def test_what_one_run_kept_the_next_recalls(tmp_path: Path) -> None:
    first = recovered(profile(tmp_path))
    assert (first.memory.account, dict(first.memory.recalled)) == (ACCOUNT, {})
    assert first.memory.recovered is not None
    assert first.memory.recovered.source == "nothing"
    first.memory.store.put("bot:risk:memory", b"halted")
    first.close()
    second = recovered(profile(tmp_path))
    second.close()
    found = second.memory.recovered
    assert dict(second.memory.recalled) == {"bot:risk:memory": b"halted"}
    assert found is not None
    assert (found.source, found.keys, found.at_ns) == ("store", 1, T0_NS)
    assert second.sentences == ()


def test_a_second_engine_is_refused_until_the_first_is_over(tmp_path: Path) -> None:
    first = recovered(profile(tmp_path))
    with pytest.raises(AccountBusy, match=ACCOUNT):
        recovered(profile(tmp_path))
    recovered(profile(tmp_path), "bybit-other00000").close()
    first.close()
    recovered(profile(tmp_path)).close()
    assert running(tmp_path / "state") == []


def test_a_damaged_store_is_a_sentence_for_the_user(tmp_path: Path) -> None:
    recovered(profile(tmp_path)).close()
    (tmp_path / "state" / f"{ACCOUNT}.db").write_bytes(b"garbage" * 1000)
    found = recovered(profile(tmp_path))
    found.close()
    (sentence,) = found.sentences
    told = found.memory.recovered
    assert told is not None
    assert sentence == f"state: {told.detail}"
    assert "moved to" in sentence


def test_a_start_that_fails_lets_the_account_go(tmp_path: Path) -> None:
    wrong = profile(tmp_path, state=State(url="mysql://x", directory=str(tmp_path / "state")))
    for _ in range(2):
        with pytest.raises(Exception, match="mysql"):
            recovered(wrong)
    recovered(profile(tmp_path)).close()


def test_paper_runs_stand_side_by_side_and_keep_nothing(tmp_path: Path) -> None:
    paper = profile(tmp_path, mode="paper")
    runs = [recovered(paper, "paper-paper") for _ in range(3)]
    named = [instance.account for instance in running(tmp_path / "state")]
    assert named == ["paper-paper", "paper-paper-2", "paper-paper-3"]
    for run in runs:
        assert (run.memory.account, run.memory.recovered) == ("", None)
        run.memory.store.put("bot:risk:memory", b"m")
        run.close()
    assert list((tmp_path / "state").glob("*.db")) == []


def left_in(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "state").iterdir())


def used(profile: Profile, *, leaves: bool) -> Recovery:
    """Return an open account in whose state something was kept."""
    run = recover(profile, ACCOUNT, VirtualClock(T0_NS), leaves=leaves)
    run.memory.store.put("bot:risk:memory", b"m")
    return run


def test_a_paper_run_that_ends_well_leaves_no_file(tmp_path: Path) -> None:
    paper = profile(tmp_path, mode="paper")
    runs = [recovered(paper, "paper-paper") for _ in range(2)]
    runs[0].close(clean=True)
    assert left_in(tmp_path) == ["paper-paper-2.lock"]
    again = recovered(paper, "paper-paper")
    runs[1].close(clean=True)
    again.close(clean=True)
    assert left_in(tmp_path) == []
    recovered(paper, "paper-paper").close()
    assert left_in(tmp_path) == ["paper-paper.lock"], "not after a run that broke"


def test_of_a_venue_that_ends_with_the_run_no_file_is_left(tmp_path: Path) -> None:
    local = profile(tmp_path, mode="local")
    used(local, leaves=False).close()
    assert left_in(tmp_path) == [f"{ACCOUNT}.db", f"{ACCOUNT}.lock"], "it may be looked at"
    used(local, leaves=False).close(clean=True)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("mode", ["local", "testnet", "demo", "live"])
def test_nothing_of_an_account_that_stands_on_is_taken_away(tmp_path: Path, mode: Any) -> None:
    used(profile(tmp_path, mode=mode), leaves=True).close(clean=True)
    assert left_in(tmp_path) == [f"{ACCOUNT}.db", f"{ACCOUNT}.lock"]
    run = recovered(profile(tmp_path, mode=mode))
    assert run.memory.recalled == {"bot:risk:memory": b"m"}
    run.close(clean=True)


def test_a_real_account_is_kept_even_if_it_is_said_to_leave_nothing(tmp_path: Path) -> None:
    used(profile(tmp_path), leaves=False).close(clean=True)
    assert left_in(tmp_path) == [f"{ACCOUNT}.db", f"{ACCOUNT}.lock"]


def test_paper_runs_even_where_no_lock_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    run = recovered(profile(tmp_path, mode="paper"), "paper-paper")
    run.close()
    assert "operator commands will not find this run" in run.sentences[0]


class FakeEngine(SimpleNamespace):
    """What an attachment sees of an engine."""

    def __init__(self) -> None:
        super().__init__(session="5e55104", clock=VirtualClock(T0_NS))
        self.published: list[Message] = []

    def publish(self, message: Message) -> None:
        self.published.append(message)


def test_the_session_is_told_to_whoever_looks_for_the_engine(tmp_path: Path) -> None:
    found = recovered(profile(tmp_path))
    engine: Any = FakeEngine()
    asyncio.run(found.attachments[0].begin(engine))
    (instance,) = running(tmp_path / "state")
    asyncio.run(found.attachments[0].end())
    found.close()
    assert instance.facts.session == "5e55104"


def test_an_account_taken_in_redis_halts_entries(tmp_path: Path) -> None:
    server = server_or_skip(tmp_path)
    state = State(url=server.url, directory=str(tmp_path / "state"))
    found = recovered(profile(tmp_path, state=state))
    engine: Any = FakeEngine()

    async def whole() -> None:
        client = redis.asyncio.Redis.from_url(server.url)
        await client.set(f"bot:lock:{ACCOUNT}", "elsewhere#1")
        await found.attachments[0].begin(engine)
        for _ in range(300):
            if engine.published:
                break
            await asyncio.sleep(0.02)
        await found.attachments[0].end()
        await client.aclose()

    asyncio.run(whole())
    found.close()
    server.kill()
    (halt,) = engine.published
    assert isinstance(halt, Halt)
    assert (halt.source, "elsewhere#1" in halt.reason) == ("lock", True)

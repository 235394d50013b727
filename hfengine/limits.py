"""Every bound of the engine, on one page. Sizes are counts unless the name says otherwise."""

from typing import Final

MAILBOX_MAX: Final = 8192
"""Messages an actor may have waiting; what happens at the bound is the mailbox policy's to say."""

RUN_TASKS_MAX: Final = 1024
"""Coroutines one actor may have under way."""

RESTARTS_MAX: Final = 3
"""Restarts of one actor within RESTART_WINDOW_NS before the engine stays halted."""

RESTART_WINDOW_NS: Final = 60_000_000_000

FRAME_BYTES_MAX: Final = 4 * 1024 * 1024
"""Largest market-data frame looked at; a REST snapshot of 1000 levels is about 50 kB."""

BURST_FRAMES_MAX: Final = 256
"""Frames of one socket read that mailboxes hold before their actors run; a flooded socket's read
buffer grows to many thousands."""

BURST_BYTES_MAX: Final = 512 * 1024
"""Bytes of such frames: one frame may hold a thousand trades, of some 130 bytes each."""

RECORD_LINE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Longest line of a recording."""

PUMP_BATCH_FRAMES: Final = 256
"""Frames the feed delivers before the loop may look at its selector."""

JOURNAL_BLOCK_BYTES: Final = 64 * 1024
"""Bytes sealed at once by one SHA-256 of the chain."""

JOURNAL_SEGMENT_BYTES: Final = 64 * 1024 * 1024

JOURNAL_RECORD_BYTES_MAX: Final = 1024 * 1024

JOURNAL_BACKLOG_BYTES: Final = 32 * 1024 * 1024
"""Unwritten bytes at which the journal counts as stalled and entries halt."""

ORDERS_IN_FLIGHT_MAX: Final = 1
"""Entries under way per symbol (invariant I3)."""

ENTRIES_IN_FLIGHT_MAX: Final = 32
"""Entries under way over all symbols: what is left of RUN_TASKS_MAX is for exits and protection,
which no bound refuses."""

ORDERS_REMEMBERED: Final = 256
"""Ended orders kept so that what comes late of them is recognised."""

FILLS_REMEMBERED_MAX: Final = 4096
"""Ids of fills kept to tell each once; beyond it the oldest go before their time."""

ORDER_REQUESTS_MAX: Final = 64
"""Order requests whose answer one order-entry connection may be waiting for."""

ORDER_REQUESTS_RESERVED: Final = 16
"""How many of them only reducing and protective orders may use."""

ORDER_RETRIES_MAX: Final = 3
"""Attempts at one protective or reducing order before the guardian closes at market."""

QUERY_RETRIES_MAX: Final = 8
"""Queries after an order whose answer was lost, before it counts as not placed."""

EXIT_QUERY_RETRIES_MAX: Final = 24
"""The same of an exit, which is asked for more often: some 18 s in all."""

FLATTEN_ROUNDS_MAX: Final = 60
"""Rounds of cancel, close, read back before `flatten` reports that it is not flat."""

FLATTEN_PAUSE_S: Final = 0.5
"""Engine time between two rounds that left something."""

DECISIONS_KEPT: Final = 256
"""Recent decisions and refusals kept for whoever looks next."""

DECISIONS_SHOWN: Final = 10
"""Recent decisions and refusals the live view lists."""

FAULTS_SHOWN_A_KIND: Final = 5

FAULTS_SHOWN: Final = 20
"""Feed faults kept word for word for the summary; the rest are counted."""

CONTROL_CLIENTS_MAX: Final = 16
"""Operators' connections to one engine."""

CONTROL_REQUEST_BYTES_MAX: Final = 4096

CONTROL_ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
"""A status of a thousand symbols is about 1 MB."""

CONTROL_WRITTEN_MAX_NS: Final = 2_000_000_000
"""Real time an answer waits for the disk; later it says that what it tells is not yet there."""

CONTROL_IDLE_MAX_NS: Final = 30_000_000_000
"""Real time a connection may stay without a request; it is cut when the next one comes."""

STORE_ROWS_WAITING_MAX: Final = 8192
"""Rows of history that wait for a store that is away; the oldest are dropped, and counted."""

STORE_KEYS_MAX: Final = 8192
"""Keys of current state kept for a store; beyond, only memory is taken, and the rest counted."""

STORE_STALL_NS: Final = 5_000_000_000
"""Real time one write may take before the store counts as lost."""

STORE_RETRY_MAX_S: Final = 5.0

SERIES_ROWS_MAX: Final = 500_000
"""Rows of equity and of orders kept in the state; trades are kept for ever."""

SERIES_AGE_MAX_NS: Final = 400 * 86_400 * 1_000_000_000

RECALLED_SESSIONS_MAX: Final = 64
"""Journals of one account looked through for its memory when its store is lost."""

RECALLED_JOURNAL_BYTES_MAX: Final = 128 * 1024 * 1024
"""Bytes of journals read at a start for what a store may lack, the newest first: about a second."""

RECALLED_HEAD_BYTES: Final = 4 * 1024 * 1024
"""Bytes at the beginning of a session's journal that hold what it recalled itself."""

FILL_IDS_KEPT: Final = 64
"""Ids of the newest fills risk remembers over a restart, so that one told again counts once."""

EQUITY_SAMPLES_MAX: Final = 1024
"""Parts of the drawdown window; of one part only what a later peak could be is kept."""

ANSWERS_KEPT: Final = 33
"""Newest answers of a venue whose median time says how it answers."""

START_TRIES_MAX: Final = 30
"""Readings of the account at the start before a venue that does not answer ends the run."""

START_PAUSE_S: Final = 1.0
"""Between two of them."""

FUNDING_REMEMBERED: Final = 8
"""Newest payments of funding of a symbol that are known not to be told again."""

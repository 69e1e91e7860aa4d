---@meta quern.core
error "types of the C modules, for editors (LuaLS); not to be loaded"

-- What `require "quern.core.NAME"` gives is the class quern.core.NAME below; bindings are in core/lua/bind_*.c. Times are
-- milliseconds: `now` monotonic, `wall` and instants since 1970-01-01T00:00:00Z. "Waits" (@async) means that other tasks have their
-- turn; it raises in a worker, while a script loads, outside a task, and across a C call. Misuse raises. Failures of the world are
-- `nil, err`. The modules error, secret, json, view, time, hash, cell and sandbox are in every state, the others in the main state
-- only.

-- ---- error ----

---@class quern.Error
---@field kind string  what went wrong, in one word
---@field message string  what tostring gives
---@field exit? integer  the exit status of a run that it ends
---@field status? integer  of the HTTP answer
---@field offset? integer  byte in the text that was parsed, from 0

---@class quern.core.error
local errors = {}
---@param kind string
---@param message string
---@param fields? table  copied into the error
---@return quern.Error
function errors.new(kind, message, fields) end
---@param value any
---@return boolean
function errors.is(value) end

-- ---- secret ----

---@class quern.Secret  prints as "[secret]"; concatenation gives a secret
local secret_methods = {}
--- "Basic <base64 of user:secret>"
---@param user string
---@return quern.Secret
function secret_methods:basic(user) end
--- application/x-www-form-urlencoded
---@return quern.Secret
function secret_methods:form() end

---@class quern.core.secret
local secret = {}
---@param text string
---@return quern.Secret
function secret.new(text) end
---@param value any
---@return boolean
function secret.is(value) end
--- Every live secret's value, and its base64 and percent forms, replaced by a mark.
---@param text string
---@return string
function secret.redact(text) end

-- ---- bytes ----

---@class quern.Bytes  `#b` is the size, tostring(b) a copy as text
local bytes_methods = {}
--- As string.sub, without copying the rest.
---@param first integer
---@param last? integer  default -1
---@return string
function bytes_methods:sub(first, last) end
--- Gives the memory back now; the bytes cannot be used after.
function bytes_methods:release() end

-- ---- json ----

---@class quern.Number  a number that keeps its text; == compares values, tostring gives the text

---@class quern.core.json
---@field null lightuserdata
local json = {}
---@param text string|quern.Bytes
---@return any value  nil if it is not JSON
---@return quern.Error? err  kind "json", with offset
function json.decode(text) end
--- Sorted members, no white space. Raises kind "json" with the place of what JSON cannot hold.
---@param value any
---@return string
function json.encode(value) end
--- As encode, with members of views sorted, too.
---@param value any
---@return string
function json.canonical(value) end
--- Marks a table as an array.
---@generic T: table
---@param list? T
---@return T
function json.array(list) end
---@param value any
---@return boolean
function json.is_array(value) end
--- A number that keeps its text: written unquoted, compared by value.
---@param text string  raises if JSON does not write numbers so
---@return quern.Number
function json.number(text) end
---@param text string|quern.Bytes
---@return string?
---@return quern.Error? err
function json.minify(text) end

-- ---- view ----

---@class quern.View  a lazy object or array: v.name, v[1], #v, pairs, ipairs, ==; cannot be changed; stale use raises

---@class quern.Path
local path_methods = {}
--- Everything it selects below the view.
---@param view quern.View
---@return any[]
function path_methods:select(view) end
--- The first that it selects.
---@param view quern.View
---@return any?
function path_methods:one(view) end
--- Does it name one place (RFC 9535 §2.3.5.1)?
---@return boolean
function path_methods:singular() end

---@class quern.core.view
local view = {}
--- A view of an array or object, else the value.
---@param text string|quern.Bytes
---@return any value
---@return quern.Error? err  kind "json"
function view.open(text) end
--- A deep copy of a view; anything else as it is.
---@param value any
---@return any
function view.table(value) end
--- Its text as it stands in the page.
---@param value quern.View
---@return string
function view.raw(value) end
--- Lets its document go now; it, and every view made from it, is dead.
---@param value quern.View
function view.release(value) end
---@param value any
---@return boolean
function view.is_view(value) end
--- Is it JSON null?
---@param value any
---@return boolean
function view.is_null(value) end
--- Compiles a JSONPath. Raises kind "usage" with the column.
---@param text string
---@return quern.Path
function view.path(text) end

-- ---- time ----

---@class quern.core.time
local time = {}
---@param text string  ISO 8601 date (midnight UTC) or instant with a zone
---@return integer? ms
---@return quern.Error? err  kind "time"
function time.parse(text) end
---@param text string  also "now", "today", "-7d"
---@param now_ms integer
---@return integer? ms
---@return boolean|quern.Error explicit  false for relative forms
function time.resolve(text, now_ms) end
---@param ms integer
---@param digits? 0|3  of the seconds; default 3
---@param zone? string  local time with its offset, instead of UTC
---@return string
function time.format(ms, digits, zone) end
--- Is it the name of a time zone?
---@param name string
---@return true?
---@return quern.Error? err  kind "time"
function time.zone(name) end
---@param ms integer
---@param zone string
---@return integer ms  local clocks ahead of UTC
function time.offset(ms, zone) end
---@param local_ms integer  a local time, as the milliseconds that it would have in UTC
---@param zone string
---@return integer ms
function time.instant(local_ms, zone) end
--- Raises for a malformed duration, and out of the years 1 to 9999.
---@param ms integer
---@param duration string  ISO 8601
---@param times? integer  default 1
---@param zone? string  months and days are counted on its calendar
---@return integer ms
function time.add(ms, duration, times, zone) end
---@param ms integer
---@param grain string  fixed ISO 8601 duration
---@return integer ms
function time.floor(ms, grain) end
---@param text string
---@return { months: integer, days: integer, ms: integer }?
---@return quern.Error? err  kind "time"
function time.duration(text) end
---@param text string
---@return integer? ms  nil: not a duration, or one with months
function time.fixed_ms(text) end

-- ---- sandbox ----

---@class quern.core.sandbox
local sandbox = {}
--- A function that runs the script's top level, which must be pure.
---@param source string  at most 4 MB
---@param chunk_name string  "@path"
---@param dir string  where `require` looks
---@return function?
---@return string? problem
function sandbox.load(source, chunk_name, dir) end
--- The globals that a script in that folder gets.
---@param dir string
---@return table
function sandbox.environment(dir) end

-- ---- hash ----

---@class quern.core.hash
local hash = {}
---@param text string
---@return string  64 hexadecimal digits
function hash.sha256(text) end
--- From the system's source; main state only.
---@param bytes integer  1 to 64
---@return string  two hexadecimal digits a byte
function hash.random(bytes) end

-- ---- cell ----

---@class quern.core.Cell
local cell_methods = {}
--- The value as a column with the same options has it.
---@param value any  not nil
---@return any value
---@return quern.Error? err  kind "invalid", with the cell's name
function cell_methods:read(value) end

---@class quern.core.cell
local cell = {}
--- Raises kind "usage".
---@param options { name?: string, as?: string, scale?: number, round?: integer }
---@return quern.core.Cell
function cell.new(options) end

-- ---- task ----

---@class quern.core.Task
local task_methods = {}
--- Waits for its end.
---@async
---@return boolean ok
---@return any ...  its results, or the error
function task_methods:join() end
--- Raises the error (default kind "cancelled") where it waits.
---@param err? any
function task_methods:cancel(err) end
---@return "ready"|"running"|"waiting"|"ending"|"done"|"failed"|"cancelled"
function task_methods:status() end

---@class quern.core.Event
local event_methods = {}
--- Waits until it is set.
---@async
---@param timeout_ms? number
---@return boolean set  false: timed out
function event_methods:wait(timeout_ms) end
--- Wakes all that wait now.
function event_methods:set() end

---@class quern.core.task
local task = {}
---@param fn function
---@param ... any
---@return quern.core.Task
function task.spawn(fn, ...) end
---@async
---@param ms number
function task.sleep(ms) end
---@return quern.core.Event
function task.event() end
---@return integer ms  monotonic
function task.now() end
---@return integer ms  the calendar
function task.wall() end
---@return integer ms  of processor time that the process has used, all threads together; in virtual time 0
function task.cpu() end
---@return number chance  [0, 1)
function task.random() end
---@return boolean  may the caller wait?
function task.yieldable() end
--- An interrupt cancels that task, as long as it runs, instead of the root task.
---@param t quern.core.Task
function task.interruptible(t) end

-- ---- http ----

---@class quern.core.Result
---@field kind "answer"|"dns"|"connect"|"timeout"|"reset"|"truncated"|"too_large"|"tls"|"denied"|"failed"
---@field elapsed_ms integer
---@field peer string  "127.0.0.1:8080" or ""
---@field status? integer  answer
---@field headers? string[][]  answer: { name, value } in order of arrival
---@field body? quern.Bytes  answer
---@field message? string  anything else
---@field never_sent? boolean  anything else: it surely never reached a server

---@class quern.core.http
local http = {}
--- One exchange: no retries, no redirects. Waits. Limits of 0 are the defaults: 10 s, 60 s, 300 s, 256 MB.
---@async
---@param request { url: string, method?: string, headers?: any[][], body?: string|quern.Bytes|quern.Secret, connect_ms?: integer, idle_ms?: integer, total_ms?: integer, max_body_bytes?: integer, once?: boolean }
---@return quern.core.Result
function http.send(request) end

-- ---- url, header ----

---@class quern.core.url
local url = {}
--- "/x" and "x" are taken under the base's path prefix; an absolute URL is kept.
---@param base string
---@param reference string
---@return string?
---@return quern.Error? err  kind "url"
function url.join(base, reference) end
--- A link found in an answer from `current`.
---@param base string
---@param current string
---@param link string
---@return string?
---@return quern.Error? err  kind "url"
function url.resolve(base, current, link) end
---@param a string
---@param b string
---@return boolean
function url.same_origin(a, b) end
---@param text string
---@return string? origin  "https://host:443"
---@return quern.Error? err
function url.origin(text) end
---@param text string
---@param pairs any[][]  { name, value }...; at most 1000
---@return string?
---@return quern.Error? err
function url.with_query(text, pairs) end
---@param text string
---@return string  form-encoded
function url.encode(text) end
---@param text string
---@return boolean
function url.loopback(text) end

---@class quern.core.header
local header = {}
---@param value string  of Retry-After
---@param wall_ms integer
---@return integer? ms  nil: cannot be read, or a date that has passed
function header.retry_after(value, wall_ms) end
---@param value string  of Link headers, joined with commas
---@param rel string  a relation type, such as "next"
---@return string? target  as it is written; nil: no such link
---@return quern.Error? err  kind "body": it is no list of links
function header.link(value, rel) end

-- ---- flow: decisions; see core/net/{retry,limit,oauth}.h ----

---@class quern.core.Retry
local retry_methods = {}
---@param now_ms integer
function retry_methods:begin(now_ms) end
---@param attempt { outcome: "status"|"network"|"body"|"too_large"|"tls"|"denied", status?: integer, retry_after_ms?: integer, safe?: boolean, never_sent?: boolean, about_size?: boolean, about_cursor?: boolean, stale_token?: boolean, chance?: number }
---@param now_ms integer
---@return "wait"|"auth"|"split"|"restart"|"fail"|"defer"|"end" action
---@return integer wait_ms
---@return boolean shared  all who share the limit wait
---@return integer exit
---@return string? why
function retry_methods:decide(attempt, now_ms) end

---@class quern.core.Breaker
local breaker_methods = {}
---@param unavailable boolean
---@param now_ms integer
function breaker_methods:note(unavailable, now_ms) end
---@param now_ms integer
---@return boolean
function breaker_methods:open(now_ms) end
---@param now_ms integer
---@return integer? ms  nil: it is not about to open
function breaker_methods:left(now_ms) end

---@class quern.core.Ticket  leaves when closed or collected
local ticket_methods = {}
---@param now_ms integer
---@return integer? ms  0: granted; nil: not before something changes
function ticket_methods:ask(now_ms) end
function ticket_methods:leave() end

---@class quern.core.Limit
local limit_methods = {}
---@return quern.core.Ticket  queued
function limit_methods:ticket() end
---@param until_ms integer
function limit_methods:hold(until_ms) end

---@class quern.core.OAuth
local oauth_methods = {}
---@param now_ms integer
---@return "have"|"fetch"|"wait" need
---@return integer generation
function oauth_methods:ask(now_ms) end
---@param expires_in_s? integer
---@param since_ms integer  when the token request was sent
---@return integer generation
function oauth_methods:fetched(expires_in_s, since_ms) end
function oauth_methods:failed() end
---@param generation integer
function oauth_methods:accepted(generation) end
---@param generation integer
---@return boolean  false: that token was dropped or replaced meanwhile
function oauth_methods:holds(generation) end
---@param generation integer
---@return "replay"|"denied"
function oauth_methods:refused(generation) end

---@class quern.core.flow
local flow = {}
---@param policy { base_ms?: integer, cap_ms?: integer, attempts?: integer, elapsed_ms?: integer, max_wait_ms?: integer, unavailable_ms?: integer, jitter?: boolean }
---@return quern.core.Retry  of one request
function flow.retry(policy) end
---@param message string
---@return boolean
function flow.about_size(message) end
---@param message string
---@return boolean
function flow.about_cursor(message) end
---@param open_after_ms integer
---@return quern.core.Breaker
function flow.breaker(open_after_ms) end
---@param bounds { concurrency?: integer, count?: integer, window_ms?: integer, pace_ms?: integer }
---@return quern.core.Limit
function flow.limit(bounds) end
---@param bounds table  as for limit
---@param starts integer
---@return integer ms
function flow.least_ms(bounds, starts) end
---@return quern.core.OAuth
function flow.oauth() end

-- ---- convert ----

---@class quern.core.Plan  compiled; immutable
local plan_methods = {}
---@return string  the CSV header line with its CRLF; "" for other formats
function plan_methods:header() end
---@return string[]  names of columns whose path has selected nothing so far, although there is no default
function plan_methods:unfound() end

---@class quern.core.Doc  an indexed page, on its way to rows
---@class quern.core.Place  where a page is, for messages, for records that fail and for a transform's ctx; `chunk`: JSON text
---@field where? string
---@field label? string
---@field leaf? integer
---@field page? integer
---@field chunk? string
---@class quern.core.Batch  the encoded rows of a page
local batch_methods = {}
---@return { rows: integer, records: integer, bytes: integer, no_key: integer, no_owner: integer, replaced: integer, failed: integer }
function batch_methods:counts() end

---@class quern.core.Workers  closed by close, __close or the collector
local workers_methods = {}
--- Waits. An error of kind "body": the body is not a page. Without a transform its rows are made, too; what goes wrong with them is
--- told by `rows`.
---@async
---@param body string|quern.Bytes
---@param place? quern.core.Place
---@return { doc: quern.core.Doc, present: boolean, count: integer, items: integer, digest: string, values: table<string, any> }?  `count`:
---  records; `items`: those of the outermost level
---@return quern.Error? err
function workers_methods:index(body, place) end
--- Takes the document. Waits.
---@async
---@param doc quern.core.Doc
---@param place quern.core.Place  the same
---@return quern.core.Batch?
---@return quern.Error? err  kind "transform"
function workers_methods:rows(doc, place) end
---@return integer threads_used
---@return integer overtakes
function workers_methods:facts() end
---@return integer threads  how many there are
function workers_methods:threads() end
--- Waits for the threads, blocking.
function workers_methods:close() end

---@class quern.core.convert
local convert = {}
--- Raises kind "usage" (exit 2) for what does not compile.
---@param spec { records: string[], key?: string, owner?: string, facts?: string[][], columns?: table[], raw?: boolean, transform?: boolean, format?: "csv"|"ndjson"|"json", csv_safe?: boolean, on_error?: "stop"|"skip"|"quarantine" }
---@return quern.core.Plan
function convert.plan(spec) end
---@param options { plan: quern.core.Plan, threads?: integer, script?: table, context?: string, memory?: integer, instructions?: integer, stuck_ms?: integer }  `memory` in bytes; `stuck_ms`: of processor time in calls that do not come back to Lua
---@return quern.core.Workers?
---@return quern.Error? err  kind "script"
function convert.workers(options) end

-- ---- run ----

---@class quern.core.Tree
local tree_methods = {}
---@return integer? leaf  now running
function tree_methods:take() end
---@param leaf integer
---@return integer? from_ms  nothing when leaves are no times
---@return integer? to_ms
function tree_methods:range(leaf) end
---@param leaf integer
---@return integer  from 1
function tree_methods:index(leaf) end
---@param leaf integer
---@return integer? first
---@return integer|"whole"|"floor"|"limit" second  why not, when first is nil
function tree_methods:split(leaf) end
---@param leaf integer
function tree_methods:reopen(leaf) end
---@return integer[]  in plan order
function tree_methods:leaves() end
---@param leaf integer
---@return "open"|"running"|"whole"|"committed"|"hole"|"split"
function tree_methods:state(leaf) end
---@return { open: integer, running: integer, whole: integer, committed: integer, holes: integer, splits: integer }
function tree_methods:counts() end
---@return boolean
function tree_methods:tiled() end

---@class quern.core.Sink
local sink_methods = {}
--- Ends a sink that no sequencer has.
---@param fate "publish"|"keep"|"discard"
---@return true?
---@return quern.Error? err
function sink_methods:close(fate) end
--- Waits until it takes more rows: one that compresses is full now and then. For one task at a time.
---@async
function sink_methods:wait() end
--- Once it is closed.
---@return integer rows  bytes of the rows, with header and separators, before they were compressed
---@return integer output  bytes that were written
function sink_methods:bytes() end
--- Of a queue: the next lines that were committed, at most 64 KB unless a row is longer; nil when there are none now.
---@return string? lines
---@return quern.Error? err
function sink_methods:take() end
--- Of a queue: committed bytes that were not taken.
---@return integer bytes
function sink_methods:waiting() end

---@class quern.core.Writer
local writer_methods = {}
--- A row of named values. Kind "script" or "invalid": it cannot be written, and nothing of it was.
---@param row table<string, any>
---@return true?
---@return quern.Error? err
function writer_methods:row(row) end
--- Hands over what there is to the operating system.
---@return true?
---@return quern.Error? err
function writer_methods:flush() end
function writer_methods:close() end

---@class quern.core.Sequencer
local sequencer_methods = {}
---@param leaf integer
function sequencer_methods:begin(leaf) end
--- Takes the batch.
---@param leaf integer
---@param page integer  from 1
---@param batch quern.core.Batch
---@return true?
---@return quern.Error? err
function sequencer_methods:add(leaf, page, batch) end
---@param leaf integer
---@param pages integer
---@return { received: integer, rows: integer }?
---@return quern.Error? err
function sequencer_methods:finish(leaf, pages) end
---@param leaf integer
function sequencer_methods:discard(leaf) end
---@param leaf integer
---@param reason string
function sequencer_methods:fail(leaf, reason) end
---@return { committed: integer[], refetch: integer[], failed: string[], full: boolean }?  `failed`: the first records of the run that failed, as JSON texts; `full`: the sink has no room, wait for it and call again
---@return quern.Error? err
function sequencer_methods:advance() end
---@return table<string, integer>  rows, failed, records, duplicates, disowned, outside, no_key, no_owner, spooled_bytes
function sequencer_methods:facts() end
---@return integer bytes  of memory that rows take which wait
function sequencer_methods:held() end
---@return { leaf: integer, from: integer?, to: integer?, reason: string }[]
function sequencer_methods:holes() end
---@param fate "publish"|"keep"|"discard"
---@return string? partial  path of the partial file that stays; "": none
---@return string|quern.Error quarantine  the same of the quarantine; or why it could not be closed so
function sequencer_methods:close(fate) end

---@class quern.core.run
local run = {}
--- Raises kind "usage" (exit 2). Times are ms, durations ISO 8601.
---@param spec { from: integer, to: integer, size?: string, floor?: string, grain?: string, split?: boolean }|{ count: integer }
---@return quern.core.Tree
function run.tree(spec) end
---@param options { path?: string, format?: "csv"|"ndjson"|"json", compression?: "none"|"gzip"|"zstd", threads?: integer, header?: string, run?: string, optional?: boolean }  `threads` that compress, at most 8 (default: the machine's cores); `optional`: without rows nothing stays, nor what stood there
---@return quern.core.Sink?
---@return quern.Error? err
function run.sink(options) end
---@param options { tree: quern.core.Tree, plan?: quern.core.Plan, sink: quern.core.Sink, quarantine?: quern.core.Sink, key?: boolean, owner?: boolean, order?: boolean, from?: integer, to?: integer, leaf_memory?: integer, memory?: integer, spool_dir?: string }  memory in bytes
---@return quern.core.Sequencer
function run.sequencer(options) end
--- A sink whose rows are taken out again.
---@param options { spool_dir?: string, run?: string }
---@return quern.core.Sink
function run.queue(options) end
--- Writes the header line of CSV.
---@param options { plan: quern.core.Plan, sink: quern.core.Sink }
---@return quern.core.Writer?
---@return quern.Error? err
function run.writer(options) end

-- ---- event, env, files ----

---@class quern.core.event
local event = {}
--- One JSON line to whoever listens, redacted. Adds `time` to the table.
---@param fields { type: string }
function event.emit(fields) end
--- Would an event of this type be heard? For what is dear to find out.
---@param type string
---@return boolean
function event.wanted(type) end
--- The one listener: called with the table inside emit, before the line is made. It must not wait. For quern.events.
---@param fn? fun(event: table)
function event.listen(fn) end

---@class quern.core.env
local env = {}
---@param name string
---@return string?
function env.get(name) end
--- The text itself never enters Lua.
---@param name string
---@return quern.Secret?
function env.secret(name) end
---@param path string  NAME=VALUE lines; they never override the environment
---@return true?
---@return quern.Error? err
function env.load(path) end

---@class quern.core.Lines  a file that only grows; closed by close, __close or the collector
local lines_methods = {}
--- One line, written whole; secrets are redacted.
---@param line string  without its line break
---@return true?
---@return string? problem
function lines_methods:write(line) end
--- What was written is on the disk.
---@return true?
---@return string? problem
function lines_methods:sync() end
function lines_methods:close() end

---@class quern.core.files
local files = {}
--- Opens a file to add lines to; a new one is the owner's alone (0600).
---@param path string
---@return quern.core.Lines?
---@return string? problem
function files.append(path) end
---@param path string
---@return boolean  something to read, not a folder
function files.exists(path) end
---@param dir string
---@return string[]?  in no order
---@return string? problem
function files.list(dir) end
---@param path string
---@return string?
---@return string? problem
function files.read(path) end

-- ---- server ----

---@class quern.core.Served
---@field method string
---@field path string
---@field query string
---@field headers table<string, string>
---@field body string
local served_methods = {}
---@param answer { status?: integer, headers?: string[][], body?: string, gzip?: boolean, chunked?: boolean, fault?: "none"|"reset"|"truncate"|"hang"|"close", cut?: integer }  `cut` in bytes
---@return true?
---@return quern.Error? err  the client has gone
function served_methods:respond(answer) end

---@class quern.core.Server
local server_methods = {}
---@return integer
function server_methods:port() end
--- Waits for the next request; nil once closed. One task at a time.
---@async
---@return quern.core.Served?
function server_methods:accept() end
function server_methods:close() end

---@class quern.core.server
local server = {}
---@param options { host?: string, port?: integer }  port 0: any free one
---@return quern.core.Server?
---@return quern.Error? err  kind "network"
function server.listen(options) end

-- ---- sim: only in a simulated runtime (tests) ----

---@class quern.core.sim
local sim = {}
--- The function that answers requests: { status, headers, body, after_ms, kind, message, never_sent }.
---@param fn fun(request: table): table
function sim.serve(fn) end
--- Moves the calendar alone.
---@param ms integer
function sim.jump(ms) end
--- Interrupts the runtime, as a signal would.
function sim.interrupt() end

"""Bad input, bad servers and bad surroundings: one line that says what, where and what to do; the right status; nothing left."""
import json
import os
import signal
import time
import urllib.error
import urllib.parse

from harness import CLIENT_ID, CLIENT_SECRET, HERE, Server, Wrong, case, check, equal

QUICK = ["--days", 3, "--rate", 40]
RANGE = ["-p", "from=2024-01-01", "-p", "to=2024-01-04"]

SCRIPT = """local quern = require "quern"
return quern.query {
  name = "mine",
  client = { base_url = "%(url)s", auth = quern.auth.bearer(quern.secret.env "SHOP_TOKEN") },
  request = function() return { method = "GET", path = "/v1/orders", query = { status = "open" } } end,
  pages = quern.pages.next_link { path = "$.links.next" },
  records = { "$.data.customers[*]", "$.orders[*]" },
  columns = { { "order", "$.id" }, { "customer", "$.name", level = 1 } },
%(more)s}
"""


def one_line(result):
    lines = result.err.strip().splitlines()
    check(len(lines) == 1 and lines[0].startswith("quern: "), "one line is expected: %r", result.err)


def run_sliced(bench, server, *more, **how):
    return bench.quern("run", "details_sliced", *RANGE, "-o", "out.json", *more, **{"env": server.env, **how})


def nothing_left(bench):
    equal([name for name in bench.files() if not name.endswith((".lua", ".env"))], [], "files left")


@case(few=True)
def answers_that_end_the_run(bench):
    for fault, status, word in [("403", 4, "403"), ("400", 5, "fault on demand"), ("404", 5, "fault on demand"), ("422", 5, "fault on demand")]:
        with Server(*QUICK, "--always", fault) as server:
            one_line(run_sliced(bench, server).expect(status, word))
            equal(server.stats()["statuses"], {"200": 1, fault: 1}, "answers, the token's included")
    nothing_left(bench)


@case()
def a_token_that_is_never_accepted(bench):
    with Server(*QUICK, "--always", "401") as server:
        one_line(run_sliced(bench, server).expect(4))
        check(server.stats()["statuses"]["401"] <= 3, "401 answers: %s", server.stats())
    nothing_left(bench)


@case()
def wrong_credentials(bench):
    with Server(*QUICK) as server:
        env = {**server.env, "GENESYS_CLIENT_SECRET": "wrong-one"}
        one_line(run_sliced(bench, server, env=env).expect(4, "region"))
    nothing_left(bench)


@case()
def missing_credentials(bench):
    with Server(*QUICK) as server:
        for name in ("GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET"):
            env = {key: value for key, value in server.env.items() if key != name}
            result = run_sliced(bench, server, env=env)
            check(result.status in (2, 4) and name in result.err, "%s: exit %s: %s", name, result.status, result.err)
        equal(server.stats()["requests"], 1, "requests, this question included")
    nothing_left(bench)


@case()
def env_file(bench):
    with Server(*QUICK) as server:
        bench.write("e.env", "# a comment\nGENESYS_CLIENT_ID=wrong\nGENESYS_CLIENT_SECRET=%s\n" % server.env["GENESYS_CLIENT_SECRET"])
        env = {"GENESYS_BASE_URL": server.env["GENESYS_BASE_URL"], "GENESYS_CLIENT_ID": CLIENT_ID}
        run_sliced(bench, server, "--env-file", "e.env", env=env).expect(0)
        one_line(run_sliced(bench, server, "--env-file", "no.env", env=env).expect(2, "no.env"))


@case()
def no_credential_leaves_the_origin(bench):
    with Server(*QUICK, "--always", "foreign") as server:
        result = run_sliced(bench, server)
        check(result.status not in (0, 141), "a redirect to another origin gave exit %s", result.status)
    nothing_left(bench)


@case()
def certificates(bench):
    """An unknown certificate ends the run at once, with a hint; --ca-file trusts it; a wrong name is refused all the same."""
    with Server(*QUICK, "--tls") as server:
        one_line(run_sliced(bench, server, timeout=20).expect(1, "--ca-file"))
        nothing_left(bench)
        trusted = os.path.join(HERE, "tls_test_only.pem")
        run_sliced(bench, server, "--ca-file", trusted).expect(0)
        os.remove(bench.path("out.json"))
        env = {**server.env, "GENESYS_BASE_URL": server.url.replace("127.0.0.1", "localhost")}
        one_line(run_sliced(bench, server, "--ca-file", trusted, env=env, timeout=20).expect(1))
        one_line(run_sliced(bench, server, "--ca-file", "none.pem", timeout=20).expect(1, "none.pem"))
    nothing_left(bench)


@case()
def the_checks_fire(bench):
    """The harness notices a secret in the output, and the server notices one where it must not be."""
    bench.write("leak.json", json.dumps(CLIENT_SECRET))
    try:
        bench.quern("path", "$", "leak.json")
    except Wrong:
        pass
    else:
        raise Wrong("a secret on stdout was not noticed")
    with Server(*QUICK, allow_violations=True) as server:
        try:
            server.ask("oauth/token?x=" + urllib.parse.quote(CLIENT_SECRET, safe=""))
        except urllib.error.HTTPError:
            pass
        check("a credential in the url" in str(server.ask("__violations")), "violations: %s", server.ask("__violations"))
    os.remove(bench.path("leak.json"))


@case()
def plain_http_to_others(bench):
    env = {"GENESYS_BASE_URL": "http://192.0.2.1", "GENESYS_CLIENT_ID": "a", "GENESYS_CLIENT_SECRET": "bbbbbb"}
    one_line(bench.quern("run", "details_sliced", *RANGE, "-o", "out.json", env=env, timeout=60).expect(1, "192.0.2.1", "https"))
    nothing_left(bench)


@case(few=True)
def usage(bench):
    env = {"GENESYS_BASE_URL": "http://127.0.0.1:9", "GENESYS_CLIENT_ID": "a", "GENESYS_CLIENT_SECRET": "bbbbbb"}
    for words, said in [
            (["run", "details_sliced", "--ouput", "x"], ["--ouput", "--output"]),
            (["run", "details_slice"], ["details_slice", "details_sliced"]),
            (["run", "./none.lua"], ["./none.lua"]),
            (["run", "details_sliced", "-p", "form=2024-01-01"], ["form", "from"]),
            (["run", "details_sliced", "-p", "from=yesterday"], ["from", "yesterday"]),
            (["run", "details_sliced", "-p", "from=2024-01-01T00:00:00.500Z"], ["from", "PT1S"]),
            (["run", "details_sliced", "-p", "from=2024-01-02", "-p", "to=2024-01-01"], ["from"]),
            (["run", "details_sliced", "-p", "chunk=P0D"], ["chunk"]),
            (["run", "details_paged", "-p", "page_size=1001"], ["page_size", "1000"]),
            (["run", "details_sliced", "--format", "xml"], ["--format", "xml"]),
            (["run", "details_sliced", "--workers", "0"], ["--workers"]),
            (["rum"], ["rum", "run"]),
            (["plan"], ["plan what"]),
            (["path"], ["expression"]),
            (["emulate", "--prot", "1"], ["--port"]),
            (["emulate", "--fault", "hiccup"], ["hiccup"]),
            (["help", "runn"], ["run"])]:
        result = bench.quern(*words, env=env)
        check(result.status in (1, 2) if "hiccup" in words else result.status == 2, "%s: exit %s: %s", words, result.status, result.err)
        one_line(result)
        for word in said:
            check(word in result.err, "%s does not say %r: %s", words, word, result.err)
        equal(result.out, b"", "stdout of %s" % words)
    nothing_left(bench)


@case()
def scripts_that_are_wrong(bench):
    for text, status, said in [
            ("local a = = 1\n", 1, ["bad.lua:1"]),
            ("return 7\n", 1, ["bad.lua", "number"]),
            ("return nil\n", 1, ["bad.lua"]),
            ("local f = io.open('/etc/passwd')\nreturn f\n", 1, ["bad.lua:1", "io"]),
            ("os.execute('true')\n", 1, ["bad.lua:1"]),
            ("local q = require 'quern'\nreturn q.query { nam = 'x' }\n", 1, ["bad.lua", "nam", "name"]),  # a tail call: Lua knows no line
            ("error('my own words')\n", 1, ["bad.lua:1", "my own words"]),
            (SCRIPT % {"url": "http://127.0.0.1:9", "more": ""} % (), 0, None)]:
        if said is None:
            continue
        bench.write("bad.lua", text)
        one_line(bench.quern("run", "./bad.lua", "-o", "out.json").expect(status, *said))
    bench.write("bad.lua", (SCRIPT % {"url": "http://127.0.0.1:9", "more": ""}).replace("$.id", "$.id[?"))
    one_line(bench.quern("run", "./bad.lua", "-o", "out.csv", env={"SHOP_TOKEN": "x" * 8}).expect(2, "order", "column"))
    nothing_left(bench)


@case()
def a_transform_that_raises(bench):
    with Server("--dialect", "shop") as server:
        bench.write("mine.lua", SCRIPT % {"url": server.url, "more":
                    "  transform = function(record, row) if record.id == 'o-2-2' then error('bad order') end return row end,\n"})
        result = bench.quern("run", "./mine.lua", "-o", "out.csv", env={"SHOP_TOKEN": "static-token-1"})
        result.expect(1, "bad order", "page 1", "record", "mine.lua:")
    nothing_left(bench)


@case()
def outputs_that_cannot_be_written(bench):
    with Server(*QUICK) as server:
        one_line(bench.quern("run", "details_sliced", *RANGE, "-o", "no/such/folder/out.json", env=server.env).expect(1, "no/such/folder"))
        one_line(bench.quern("run", "details_sliced", *RANGE, "-o", "/proc/out.json", env=server.env).expect(1, "/proc"))
        one_line(bench.quern("run", "details_sliced", *RANGE, "--summary", "no/summary.json", env=server.env).expect(1, "no/summary.json"))
    nothing_left(bench)


@case(few=True)
def a_full_disk(bench):
    with Server("--days", 20, "--rate", 240) as server:
        result = bench.quern("run", "details_sliced", "-p", "from=2024-01-01", "-p", "to=2024-01-20", "-o", "out.json", env=server.env,
                             file_limit=200000)
        result.expect(1, "out.json")
    nothing_left(bench)


@case()
def a_reader_that_goes_away(bench):
    with Server("--days", 20, "--rate", 2400) as server:
        process = bench.start("run", "details_sliced", "-p", "from=2024-01-01", "-p", "to=2024-01-20", env=server.env)
        process.stdout.read(100)
        process.stdout.close()
        err = process.stderr.read().decode()
        process.stderr.close()
        equal(process.wait(60), 141, "exit status; stderr: " + err)
        equal(err, "", "stderr")
    nothing_left(bench)


@case(few=True)
def interrupted(bench):
    for number in (signal.SIGINT, signal.SIGTERM):
        with Server(*QUICK, "--always", "429", "--fault-seed", 3) as server:
            process = bench.start("run", "details_sliced", *RANGE, "-o", "out.json", env=server.env)
            for _ in range(100):
                if server.stats()["statuses"].get("429"):
                    break
                time.sleep(0.1)
            process.send_signal(number)
            err = process.communicate(timeout=20)[1].decode()
            equal(process.returncode, 130, "exit status; stderr: " + err)
            check("run again" in err, "stderr: %s", err)
        nothing_left(bench)


@case()
def an_existing_output_survives_a_failure(bench):
    bench.write("out.json", "old")
    with Server(*QUICK, "--always", "403") as server:
        run_sliced(bench, server).expect(4)
        equal(bench.read("out.json"), b"old", "the old output")
        equal(bench.files(), ["out.json"], "files left")


@case()
def a_file_that_is_a_folder(bench):
    os.mkdir(bench.path("out.json"))
    with Server(*QUICK) as server:
        run_sliced(bench, server).expect(1, "out.json")

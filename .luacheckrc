std = "lua54"
max_line_length = 160
max_comment_line_length = false
codes = true
self = false
files["lua/quern/_meta"] = { ignore = { "2", "6" } }
files["tests/lua"] = { globals = { "harness_events", "harness_setenv", "harness_memory" } }

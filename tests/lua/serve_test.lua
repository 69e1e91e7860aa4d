-- Serving scripts without a socket: what a handler answers, what goes wrong in it, and what it does afterwards.
local t = require "harness"
local core = require "quern.core.task"

-- A server whose requests are those of a list; it is closed when they are used up and answered.
local fake = {}
package.loaded["quern.core.server"] = { listen = function() return fake end }
local serve = require "quern.serve"

local function start(requests)
  local at, sent = 0, {}
  function fake.port() return 1 end
  function fake.close() end
  function fake.accept()
    core.sleep(100)
    at = at + 1
    local path = requests[at]
    if not path then return nil end
    return { method = "GET", path = path, query = "", headers = {}, body = "", respond = function(_, answer)
      if answer.body == "unsendable" then error("a header cannot be sent", 0) end
      answer.at, answer.path = core.now(), path
      sent[#sent + 1] = answer
    end }
  end
  return sent
end

-- Serves a script whose handler is this code, of p and request.
local function run(code, requests)
  local path = t.path "serving.lua"
  local file = assert(io.open(path, "wb"))
  file:write(('local quern, task = require "quern", require "quern.task"\nreturn quern.serve { name = "test", handler = function(p) %s end }'):format(code))
  file:close()
  local sent = start(requests)
  local result, err = serve.run { script = path, scripts_dir = "/nowhere", params = {} }
  os.remove(path)
  return sent, result, err
end

local function logged()
  local list = {}
  for _, event in ipairs(t.events "log") do list[#list + 1] = event.level .. ": " .. event.message end
  return table.concat(list, "\n")
end

t.test("an answer is sent as the handler wants it", function()
  local sent = run([[return function(request)
    return { status = 201, headers = { B = 2, A = "1" }, json = { path = request.path }, gzip = true, chunked = true, after = 0.05 }
  end]], { "/a" })
  t.equal(#sent, 1)
  t.equal(sent[1].status, 201)
  t.equal(sent[1].body, '{"path":"/a"}')
  t.equal(sent[1].headers[1][1] .. sent[1].headers[2][1] .. sent[1].headers[3][1], "ABContent-Type")
  t.ok(sent[1].gzip and sent[1].chunked)
  t.equal(sent[1].at, 150)
end)

t.test("a handler that raises or gives nothing answers 500 and logs, and the server lives", function()
  local sent, result = run([[return function(request)
    if request.path == "/raises" then error("no such thing") end
    if request.path == "/nothing" then return nil end
    if request.path == "/breaks" then return { body = "unsendable" } end
    return { body = "fine" }
  end]], { "/raises", "/nothing", "/breaks", "/fine" })
  t.equal(result.exit, 0)
  t.equal(#sent, 3)
  t.equal(sent[1].status, 500)
  t.equal(sent[2].status, 500)
  t.equal(sent[3].body, "fine")
  t.match(logged(), "error: the handler failed: .*no such thing")
  t.match(logged(), "error: the answer failed: a header cannot be sent")
end)

t.test("what is to be done afterwards is done behind the answer, and may wait", function()
  local sent = run([[local order = {}
  return function(request)
    if request.path == "/order" then return { body = table.concat(order, " ") } end
    return { body = "sent", afterwards = function()
      order[#order + 1] = "begun"
      task.sleep(0.15)
      order[#order + 1] = "done"
      if request.path == "/fails" then error("too late") end
    end }
  end]], { "/a", "/order", "/order", "/fails", "/order", "/order" })
  t.equal(sent[2].body, "begun")
  t.equal(sent[3].body, "begun done")
  t.equal(sent[6].body, "begun done begun done")
  t.match(logged(), "error: afterwards failed: .*too late")
end)

t.test("the end of the server ends what is under way, without a word", function()
  run([[return function() return { afterwards = function() task.sleep(1000) end } end]], { "/a" })
  t.equal(logged(), "")
end)

t.test("a handler may refuse its parameters", function()
  local sent, result, err = run([[return nil, "p is not to my taste"]], { "/a" })
  t.equal(#sent, 0)
  t.equal(result, nil)
  t.equal(err.exit, 2)
  t.match(tostring(err), "p is not to my taste")
end)

-- task.race and task.channel: who wins, who waits, and that nobody is left behind when something is cancelled.
local t = require "harness"
local errors = require "quern.core.error"
local task = require "quern.task"

local function closing(note)
  return setmetatable({}, { __close = function(_, problem) note(problem) end })
end

t.test("race: the first that ends wins, the others have ended when it returns", function()
  local ended = 0
  local function slow()
    local _ <close> = closing(function() ended = ended + 1 end)
    task.sleep "1h"
  end
  local a, b, c = task.race { slow, function() task.sleep(2) return "a", nil, "c" end, slow }
  t.equal(a, "a")
  t.equal(b, nil)
  t.equal(c, "c")
  t.equal(ended, 2)
  t.equal(t.now(), 2000)
  t.equal(task.race { function() return "at once" end, slow }, "at once")
  t.equal(select("#", task.race { function() end }), 0)
end)

t.test("race: the first error is raised; a loser's is nobody's", function()
  local err = t.raises(function()
    task.race { function() task.sleep(5) return 1 end, function() task.sleep(1) error(errors.new("test", "bad luck")) end }
  end, "bad luck")
  t.equal(err.kind, "test")
  local won = task.race {
    function() task.sleep(1) return "won" end,
    function()
      local _ <close> = closing(function() error("while it closes") end)
      task.sleep "1h"
    end,
  }
  t.equal(won, "won")
  task.sleep(1)
end)

t.test("race: cancelled as a whole, its functions end with it", function()
  local ended = 0
  local child = task.spawn(function()
    local function slow()
      local _ <close> = closing(function() ended = ended + 1 end)
      task.sleep "1h"
    end
    task.race { slow, slow }
  end)
  task.sleep(1)
  child:cancel()
  local ok, err = child:join()
  t.equal(ok, false)
  t.equal(err.kind, "cancelled")
  t.equal(ended, 2)
  t.equal(task.timeout("1s", task.race, { function() task.sleep "1h" end }), nil)
end)

t.test("race: what it takes", function()
  t.raises(function() task.race {} end, "channel_test.*at least one")
  t.raises(function() task.race { print, 5 } end, "item 2 is a number, not a function")
end)

t.test("channel: values in their order; who sends waits while it is full", function()
  local channel, log = task.channel(2), {}
  local sender = task.spawn(function()
    for n = 1, 5 do
      t.equal(channel:send(n), true)
      log[#log + 1] = "s" .. n
    end
    channel:close()
  end)
  task.sleep(1)
  t.same(log, { "s1", "s2" })
  t.equal(#channel, 2)
  for n in channel:each() do
    log[#log + 1] = "r" .. n
    task.sleep(1)
  end
  t.same(log, { "s1", "s2", "r1", "s3", "r2", "s4", "r3", "s5", "r4", "r5" })
  t.equal((sender:join()), true)
end)

t.test("channel: who receives waits while it is empty; first come, first served", function()
  local channel, got = task.channel(), {}
  for index = 1, 3 do
    task.spawn(function()
      local value = channel:receive()
      got[#got + 1] = index .. "=" .. value
    end)
  end
  task.sleep(1)
  for n = 1, 3 do channel:send(n) end
  task.sleep(1)
  t.same(got, { "1=1", "2=2", "3=3" })
  channel:send(false)
  t.equal(channel:receive(), false)
end)

t.test("channel: closing wakes all; what is in it can be had, nothing more goes in", function()
  local channel, outcomes = task.channel(1), {}
  channel:send "kept"
  for index = 1, 2 do
    task.spawn(function()
      local ok, err = channel:send(index)
      outcomes[#outcomes + 1] = tostring(ok) .. " " .. err.kind
    end)
  end
  task.sleep(1)
  channel:close()
  channel:close()
  task.sleep(1)
  t.same(outcomes, { "nil closed", "nil closed" })
  t.equal(channel:receive(), "kept")
  local value, err = channel:receive()
  t.equal(value, nil)
  t.equal(err.kind, "closed")
  t.equal(select(2, channel:send(1)).message, "the channel is closed")
  for _ in channel:each() do error "there is nothing left" end
  local empty, woken = task.channel(), 0
  for _ = 1, 2 do
    task.spawn(function()
      empty:receive()
      woken = woken + 1
    end)
  end
  task.sleep(1)
  do local _ <close> = empty end
  task.sleep(1)
  t.equal(woken, 2)
end)

t.test("channel: a waiter that is cancelled loses its turn and nothing else", function()
  local channel, got = task.channel(), {}
  local receivers = {}
  for index = 1, 3 do
    receivers[index] = task.spawn(function()
      local value = channel:receive()
      got[#got + 1] = index .. "=" .. value
    end)
  end
  task.sleep(1)
  receivers[2]:cancel()
  channel:send "a" -- the first is told, and cancelled before it has its turn
  receivers[1]:cancel()
  receivers[1]:join()
  receivers[2]:join()
  receivers[3]:join()
  t.same(got, { "3=a" })
  local senders = {}
  channel:send "first"
  for index = 1, 3 do
    senders[index] = task.spawn(function() channel:send(index) end)
  end
  task.sleep(1)
  t.equal(channel:receive(), "first")
  senders[1]:cancel() -- it was told that there is room
  senders[1]:join()
  t.equal(channel:receive(), 2)
  t.equal(channel:receive(), 3)
  senders[2]:join()
  senders[3]:join()
end)

t.test("channel: nobody who comes later goes before one who waits", function()
  local channel, got = task.channel(), {}
  channel:send(0)
  task.spawn(function() channel:send "early" end)
  task.sleep(1)
  task.spawn(function()
    for n in channel:each() do got[#got + 1] = n end
  end)
  channel:send "late"
  task.sleep(1)
  t.same(got, { 0, "early", "late" })
end)

t.test("channel: many producers and consumers, everything once", function()
  local channel, sum, open = task.channel(3), 0, 20
  for index = 1, 20 do
    task.spawn(function()
      for n = 1, 50 do
        task.sleep((index * n) % 3 / 1000)
        channel:send(1)
      end
      open = open - 1
      if open == 0 then channel:close() end
    end)
  end
  local consumers = {}
  for index = 1, 5 do
    consumers[index] = task.spawn(function()
      for n in channel:each() do
        sum = sum + n
        task.sleep(index / 1000)
      end
    end)
  end
  for _, consumer in ipairs(consumers) do consumer:join() end
  t.equal(sum, 1000)
end)

t.test("channel: what it takes", function()
  t.raises(function() task.channel(0) end, "channel_test.*a whole number from 1, not 0")
  t.raises(function() task.channel "5" end, "a whole number from 1, not 5")
  t.raises(function() task.channel():send(nil) end, "channel_test.*nil cannot be sent")
end)

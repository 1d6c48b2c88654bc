import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Fiber, Metric, Queue, Scheduler, Schema } from "effect"
import { TimerHeap } from "../../src/core/data/TimerHeap.ts"
import { HostClock } from "../../src/testing/HostClock.ts"
import * as VirtualTime from "../../src/testing/VirtualTime.ts"

const Delays = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 })))

const inside = <A, E>(time: VirtualTime.VirtualTime, effect: Effect.Effect<A, E>, skewMs = 0) =>
  Effect.runForkWith(
    Context.make(Clock.Clock, time.clock(new HostClock(skewMs))).pipe(
      Context.add(Metric.FiberRuntimeMetrics, time.census)
    )
  )(effect, { scheduler: time })

describe("TimerHeap", () => {
  it.prop(
    "fires in order of time, then of insertion, and never what was cancelled",
    { delays: Delays },
    ({ delays }) => {
      const heap = new TimerHeap()
      const fired: Array<number> = []
      const timers = delays.map((dueAtMs, index) => heap.add(dueAtMs, () => void fired.push(index)))
      for (const [index, timer] of timers.entries()) if (index % 3 === 0) heap.cancel(timer)
      const size = heap.size
      for (let fire = heap.takeDue(50); fire !== undefined; fire = heap.takeDue(50)) fire()

      const expected = [...delays.keys()].filter((index) => index % 3 !== 0)
      assert.strictEqual(size, expected.length)
      assert.deepStrictEqual(
        fired,
        expected.toSorted((a, b) => delays[a]! - delays[b]! || a - b)
      )
      assert.strictEqual(heap.nextAtMs, undefined)
    }
  )

  it("is not filled by timers that were cancelled long before they are due", () => {
    const heap = new TimerHeap()
    const last = heap.add(1, () => {})
    for (let index = 0; index < 100_000; index++) heap.cancel(heap.add(1_000_000, () => {}))

    assert.strictEqual(heap.size, 1)
    assert.strictEqual(heap.nextAtMs, last.dueAtMs)
  })
})

describe("VirtualTime", () => {
  it("sleeps take no time of ours and exactly theirs", () => {
    const time = new VirtualTime.VirtualTime()
    const woken: Array<readonly [string, number]> = []
    const sleeper = (name: string, delay: number) =>
      Effect.andThen(
        Effect.sleep(delay),
        Effect.sync(() => woken.push([name, time.nowMs]))
      )
    inside(time, Effect.all([sleeper("late", 86_400_000), sleeper("soon", 5), sleeper("also", 5)], { concurrency: 3 }))

    assert.strictEqual(time.run(10), "time")
    assert.deepStrictEqual(woken, [
      ["soon", 5],
      ["also", 5]
    ])
    assert.strictEqual(time.run(Number.POSITIVE_INFINITY), "idle")
    assert.deepStrictEqual(woken.at(-1), ["late", 86_400_000])
    assert.strictEqual(time.fibers, 0)
  })

  it("a fiber that waits for nothing that comes is idle, and counted", () => {
    const time = new VirtualTime.VirtualTime()
    const fiber = inside(time, Effect.never)

    assert.strictEqual(time.run(Number.POSITIVE_INFINITY), "idle")
    assert.strictEqual(time.fibers, 1)
    inside(time, Fiber.interrupt(fiber))
    time.run(Number.POSITIVE_INFINITY)
    assert.strictEqual(time.fibers, 0)
  })

  it("hosts differ in the time of day, not in how time passes", () => {
    const time = new VirtualTime.VirtualTime()
    const [right, wrong] = [time.clock(new HostClock()), time.clock(new HostClock(-60_000))]
    time.run(1234)

    assert.strictEqual(right.currentTimeMillisUnsafe(), VirtualTime.EPOCH_MS + 1234)
    assert.strictEqual(wrong.currentTimeMillisUnsafe(), VirtualTime.EPOCH_MS + 1234 - 60_000)
    assert.strictEqual(right.monotonicTimeNanosUnsafe(), wrong.monotonicTimeNanosUnsafe())
  })

  it("queues, time-outs and children run in it alone", () => {
    const time = new VirtualTime.VirtualTime()
    const program = Effect.gen(function* () {
      const queue = yield* Queue.bounded<number>(2)
      yield* Effect.forkChild(Effect.forEach([1, 2, 3, 4, 5], (value) => Queue.offer(queue, value)))
      const taken = yield* Effect.forEach([1, 2, 3, 4, 5], () => Queue.take(queue))
      const late = yield* Effect.timeoutOption(Effect.never, "1 hour")
      return { taken, late: late._tag, isOurs: (yield* Scheduler.Scheduler) === time }
    })
    const fiber = inside(time, program)
    time.run(Number.POSITIVE_INFINITY)

    const exit = fiber.pollUnsafe()
    assert.deepStrictEqual(exit?._tag === "Success" ? exit.value : exit, {
      taken: [1, 2, 3, 4, 5],
      late: "None",
      isOurs: true
    })
    assert.strictEqual(time.nowMs, 3_600_000)
  })

  it("an instant without end is a failure, not a hang", () => {
    const time = new VirtualTime.VirtualTime()
    const again = (): void => time.defer(again)
    again()

    assert.throws(() => time.run(1), VirtualTime.Livelock)
  })
})

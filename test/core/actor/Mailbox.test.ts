import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Mailbox, type Overflow } from "../../../src/core/actor/Mailbox.ts"

/** Long enough to fill, wrap and grow the ring, and to find it full. */
const Commands = Schema.Array(Schema.Literals(["offer", "offerFive", "take", "takeAll"])).check(Schema.isMinLength(40))
const Capacity = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 }))
const policies: ReadonlyArray<Overflow> = ["backpressure", "dropNewest", "dropOldest", "fail"]

/** Runs the commands on a mailbox and on a plain array, which must agree at every step. */
const compare = (overflow: Overflow, capacity: number, commands: ReadonlyArray<string>) => {
  const steps = commands.flatMap((command) =>
    command === "offerFive" ? Array.from({ length: 5 }, () => "offer") : command
  )
  const mailbox = new Mailbox<number>({ capacity, overflow }, () => {})
  const model: Array<number> = []
  let dropped = 0
  for (const [value, command] of steps.entries()) {
    if (command === "offer") {
      const isFull = model.length === capacity
      assert.strictEqual(mailbox.offer(value), !isFull || overflow === "dropOldest")
      if (isFull) dropped++
      if (isFull && overflow === "dropOldest") model.shift()
      if (!isFull || overflow === "dropOldest") model.push(value)
    } else {
      const count = command === "take" ? Math.min(1, model.length) : model.length
      for (let taken = 0; taken < count; taken++) assert.strictEqual(mailbox.take(), model.shift())
    }
    assert.strictEqual(mailbox.size, model.length)
    assert.strictEqual(mailbox.dropped, dropped)
  }
}

describe("Mailbox", () => {
  it.prop(
    "is a bounded queue under every policy",
    { commands: Commands, capacity: Capacity },
    ({ commands, capacity }) => {
      for (const overflow of policies) compare(overflow, capacity, commands)
    }
  )

  it("admits suspended writers in order, one for each message taken", () => {
    const mailbox = new Mailbox<number>({ capacity: 2, overflow: "backpressure" }, () => {})
    const resumed: Array<string> = []
    for (const value of [0, 1]) mailbox.offer(value)
    const writers = [2, 3, 4].map((message) => ({
      message,
      resume: (accepted: boolean) => void resumed.push(`${message} ${accepted}`)
    }))
    for (const writer of writers) mailbox.wait(writer)
    mailbox.withdraw(writers[1]!)

    assert.isTrue(mailbox.mustWait)
    assert.deepStrictEqual([mailbox.take(), mailbox.take(), mailbox.take()], [0, 1, 2])
    assert.deepStrictEqual(resumed, ["2 true", "4 true"])
    assert.strictEqual(mailbox.take(), 4)
  })

  it("refuses everything once closed, and counts what it discards", () => {
    const mailbox = new Mailbox<number>({ capacity: 1, overflow: "backpressure" }, () => {})
    const resumed: Array<boolean> = []
    mailbox.offer(0)
    mailbox.wait({ message: 1, resume: (accepted) => void resumed.push(accepted) })
    mailbox.close()

    assert.deepStrictEqual(resumed, [false])
    assert.isFalse(mailbox.offer(2))
    assert.isFalse(mailbox.mustWait)
    assert.deepStrictEqual([mailbox.size, mailbox.dropped], [0, 2])
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as WebhookQueue from "../../../src/protocol/webhook/WebhookQueue.ts"
import * as Arb from "../../support/Arbitraries.ts"

const CONFIG: WebhookQueue.Config = {
  waitingMax: 4,
  attemptsMax: 3,
  backoff: { initialMs: 100, factor: 2, maxMs: 1_000, jitter: 0 }
}
const delivery = (id: string) => ({ id, event: "e", body: "{}", url: "http://x/" })
const idOf = (next: ReturnType<WebhookQueue.WebhookQueue["next"]>) => next?.delivery.id

describe("WebhookQueue", () => {
  it("sends one after the other, each again after growing pauses", () => {
    const queue = new WebhookQueue.WebhookQueue(CONFIG)
    queue.offer(delivery("a"))
    queue.offer(delivery("b"))

    assert.deepInclude(queue.next(0), { attempt: 1 })
    assert.isUndefined(queue.next(0))
    assert.isUndefined(queue.settled("no", 0, 0))
    assert.strictEqual(queue.deadlineMs, 100)
    assert.isUndefined(queue.next(99))
    assert.deepInclude(queue.next(100), { attempt: 2 })
    assert.isUndefined(queue.settled(undefined, 100, 0))
    assert.strictEqual(idOf(queue.next(100)), "b")
  })

  it("gives one up after so many tries, and the next after one, until one is taken again", () => {
    const queue = new WebhookQueue.WebhookQueue(CONFIG)
    for (const id of ["a", "b", "c", "d"]) queue.offer(delivery(id))
    let nowMs = 0
    const fail = () => {
      nowMs = queue.deadlineMs ?? nowMs
      queue.next(nowMs)
      return queue.settled("HTTP 500", nowMs, 0)
    }

    assert.deepStrictEqual([fail(), fail()], [undefined, undefined])
    assert.deepInclude(fail(), { id: "a", attempts: 3, reason: "HTTP 500" })
    assert.deepInclude(fail(), { id: "b", attempts: 1 })
    queue.next(nowMs)
    queue.settled(undefined, nowMs, 0)
    assert.isUndefined(fail())
  })

  it("turns away what does not fit", () => {
    const queue = new WebhookQueue.WebhookQueue(CONFIG)
    for (const id of ["a", "b", "c", "d"]) assert.isUndefined(queue.offer(delivery(id)))

    assert.deepInclude(queue.offer(delivery("e")), { id: "e", attempts: 0 })
  })

  it.prop(
    "every delivery is taken, given up or abandoned, once, and in order",
    { steps: Arbitrary.array(Arb.element("offer", "taken", "failed", "wait"), { maxLength: 60 }) },
    ({ steps }) => {
      const queue = new WebhookQueue.WebhookQueue(CONFIG)
      const [offered, ended, turnedAway]: ReadonlyArray<Array<string>> = [[], [], []]
      let nowMs = 0
      for (const step of steps) {
        if (step === "offer") {
          const id = String(offered!.length + turnedAway!.length)
          ;(queue.offer(delivery(id)) === undefined ? offered! : turnedAway!).push(id)
        } else if (step === "wait") nowMs += 70
        else {
          const next = queue.next(nowMs)
          if (next === undefined) continue
          const dead = queue.settled(step === "taken" ? undefined : "no", nowMs, 0)
          if (step === "taken") ended!.push(next.delivery.id)
          else if (dead !== undefined) ended!.push(dead.id)
        }
      }
      ended!.push(...queue.abandon("over").map(({ id }) => id))

      assert.deepStrictEqual(ended, offered)
    }
  )
})

/** An actor as a user would write it: a state, a message that is told, one that is answered, one that it dies of. */
import { Effect, Schema } from "effect"
import * as Actor from "../../src/api/Actor.ts"
import * as Pilot from "../../src/api/Pilot.ts"

/** Declared by the protocol, so that it arrives as itself. */
export class TooLarge extends Schema.TaggedError<TooLarge>()("TooLarge", { by: Schema.Int }) {}

/** What nodes without the actor have of it. */
export const Protocol = Actor.protocol("counter", {
  Add: Actor.tell(Schema.Struct({ by: Schema.Int })),
  Get: Actor.ask({ reply: Schema.Int }),
  AddAtMost: Actor.ask({
    payload: Schema.Struct({ by: Schema.Int, at: Schema.Date }),
    reply: Schema.Int,
    error: TooLarge
  }),
  Asker: Actor.ask({ reply: Schema.String }),
  Sleep: Actor.ask({ reply: Schema.Void }),
  Crash: Actor.tell()
})

/** Starts at nothing, in every life. */
export const Counter = Actor.make(Protocol, {
  start: Effect.sync(() => {
    let count = 0
    const add = (by: number) =>
      Effect.sync(() => {
        count += by
        return count
      })
    return {
      Add: ({ by }) => Effect.asVoid(add(by)),
      Get: () => Effect.sync(() => count),
      AddAtMost: ({ at, by }) => (by > at.getTime() ? new TooLarge({ by }) : add(by)),
      Asker: () => Effect.map(Pilot.caller, ({ hostname }) => hostname),
      Sleep: () => Effect.never,
      Crash: () => Effect.die(new Error("broken"))
    }
  }),
  restart: { intensity: 1, periodMs: 60_000 },
  mailbox: { capacity: 2, overflow: "fail" }
})

/** A group of rpcs as a user would write it: errors, a stream, something that takes for ever, and who asks. */
import { Context, Effect, Layer, Queue, Schedule, Schema, Stream } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"
import * as Pilot from "../../src/api/Pilot.ts"

/** Declared by the group, so that it arrives as itself. */
export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { sku: Schema.String }) {}

const stock = Rpc.make("stock", { payload: { sku: Schema.String }, success: Schema.Int, error: OutOfStock })
const watch = Rpc.make("watch", { payload: { sku: Schema.String }, success: Schema.Int, stream: true })
const hang = Rpc.make("hang")
const whoami = Rpc.make("whoami", { success: Schema.Struct({ hostname: Schema.String, traceId: Schema.String }) })

/** The group. */
export const Inventory = RpcGroup.make(stock, watch, hang, whoami)

/** What became of handlers that a peer began. */
export class Log extends Context.Service<Log, Queue.Queue<string>>()("test/Inventory/Log") {
  static readonly layer = Layer.effect(Log, Queue.unbounded<string>())
}

/** Its handlers: `stock` of `none` fails, `watch` counts ten times a second. */
export const handlers = Inventory.toLayer(
  Effect.gen(function* () {
    const log = yield* Log
    const noting = (what: string) =>
      Effect.andThen(Queue.offer(log, `${what} began`), Effect.never).pipe(
        Effect.onInterrupt(() => Queue.offer(log, `${what} interrupted`))
      )
    return {
      stock: ({ sku }) => (sku === "none" ? new OutOfStock({ sku }) : Effect.succeed(sku.length)),
      watch: ({ sku }) =>
        Stream.fromSchedule(Schedule.spaced("100 millis")).pipe(
          Stream.map((tick) => tick + sku.length),
          Stream.ensuring(Queue.offer(log, "watch ended"))
        ),
      hang: () => noting("hang"),
      whoami: () =>
        Effect.gen(function* () {
          const { hostname } = yield* Pilot.caller
          const span = yield* Effect.currentSpan
          return { hostname, traceId: span.traceId }
        }).pipe(Effect.orDie)
    }
  })
)

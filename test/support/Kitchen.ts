/** A toolkit that tests serve to peers: results, failures, steps, waiting, and who asked. */
import { Context, Effect, Layer, Queue, Schema } from "effect"
import { McpServer, Tool, Toolkit } from "effect/ai"
import * as EffectServer from "../../src/actors/mcp/server/EffectServer.ts"
import * as Mcp from "../../src/api/Mcp.ts"
import * as McpRig from "./McpRig.ts"

export const Add = Tool.make("add", {
  description: "Adds two numbers",
  parameters: Schema.Struct({ a: Schema.Finite, b: Schema.Finite }),
  success: Schema.Struct({ sum: Schema.Finite })
})
export const Divide = Tool.make("divide", {
  parameters: Schema.Struct({ a: Schema.Finite, b: Schema.Finite }),
  success: Schema.Finite,
  failure: Schema.Struct({ reason: Schema.String })
})
/** Tells `steps` steps, a second apart if `seconds` says so. */
export const Walk = Tool.make("walk", {
  parameters: Schema.Struct({ steps: Schema.Int, seconds: Schema.optionalKey(Schema.Finite) }),
  success: Schema.String
})
/** Takes that long, and counts. */
export const Cook = Tool.make("cook", { parameters: Schema.Struct({ seconds: Schema.Finite }), success: Schema.String })
export const WhoAmI = Tool.make("whoami", {
  parameters: Tool.EmptyParams,
  success: Schema.Struct({ node: Schema.Int, hostname: Schema.String, fingerprint: Schema.String })
})

/** All of them. */
export const Kit = Toolkit.make(Add, Divide, Walk, Cook, WhoAmI)

/** What happened in the kitchen, for all its clients. */
export class Log extends Context.Service<
  Log,
  { readonly started: Queue.Queue<string>; readonly ended: Queue.Queue<string> }
>()("test/Kitchen/Log") {
  static readonly make = Effect.all({ started: Queue.unbounded<string>(), ended: Queue.unbounded<string>() })
}

/** The handlers, for one client. */
export const Handlers = Kit.toLayer(
  Effect.gen(function* () {
    const log = yield* Log
    const caller = yield* Mcp.Caller
    return {
      add: ({ a, b }) => Effect.succeed({ sum: a + b }),
      divide: ({ a, b }) => (b === 0 ? Effect.fail({ reason: "division by zero" }) : Effect.succeed(a / b)),
      walk: Effect.fnUntraced(function* ({ seconds = 0, steps }) {
        for (let step = 1; step <= steps; step++) {
          if (seconds > 0) yield* Effect.sleep(seconds * 1000)
          yield* Mcp.progress({ progress: step, total: steps, message: `step ${step}` })
        }
        return "there"
      }),
      cook: ({ seconds }) =>
        Queue.offer(log.started, caller.hostname).pipe(
          Effect.andThen(Effect.sleep(seconds * 1000)),
          Effect.as("done"),
          Effect.onExit((exit) => Queue.offer(log.ended, exit._tag === "Success" ? "done" : "interrupted"))
        ),
      whoami: () => Effect.succeed({ node: caller.node, hostname: caller.hostname, fingerprint: caller.fingerprint })
    }
  })
)

/** The kitchen as a service for peers. */
export const source = Mcp.toolkit(Kit, Handlers, { instructions: "Be patient." })

/** The log as a layer, to be provided to whoever exposes the kitchen. */
export const logLayer = Layer.effect(Log, Log.make)

/** A kitchen behind shim and keeper, whose clients are all node 2. */
export const rig = (log: Log["Service"]) =>
  McpRig.make({
    services: [McpRig.service("kitchen")],
    spawn: () =>
      EffectServer.open({
        name: "kitchen",
        version: "1",
        registrations: McpServer.toolkit(Kit).pipe(
          Layer.provide(Handlers),
          Layer.provide([Layer.succeed(Log, log), Layer.succeed(Mcp.Caller, CALLER)])
        )
      })
  })

const CALLER = { node: 2, address: "0:0000.0000.0002", hostname: "user", publicKey: "K", fingerprint: "F" }

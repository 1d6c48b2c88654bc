/** `pilotctl mcp mount PEER/NAME`: a stdio MCP server for any client, whose tools run on another node (mcp §6.1). */
import { Effect, Layer, Logger } from "effect"
import * as DetachBridge from "../../actors/mcp/mount/DetachBridge.ts"
import * as EraBridge from "../../actors/mcp/mount/EraBridge.ts"
import * as Shim from "../../actors/mcp/mount/Shim.ts"
import type * as Target from "../../actors/mcp/Target.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import { Verdict } from "../../protocol/relay/era/Verdict.ts"
import type * as CliError from "../CliError.ts"
import { type Environment, type Input, type Output, silent } from "../Command.ts"
import * as LongLived from "../LongLived.ts"
import * as Telemetry from "../Telemetry.ts"
import * as Values from "../Values.ts"
import * as McpConnect from "./McpConnect.ts"
import * as McpTargets from "./McpTargets.ts"
import * as MountDoor from "./MountDoor.ts"
import * as MountEgress from "./MountEgress.ts"
import * as MountMetrics from "./MountMetrics.ts"
import * as ProcessStdio from "./ProcessStdio.ts"

/** Serves the client on standard input and output until it closes. Everything else goes to standard error. */
export const run = Effect.fnUntraced(function* (
  targets: Target.Targets,
  pinText: string,
  input: Input
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const pinsOf = yield* McpConnect.guards(pinText)
  const detachesAfter = yield* McpConnect.detachAfter(input)
  yield* LongLived.begin
  const client = yield* ProcessStdio.open
  yield* Effect.gen(function* () {
    const { follow, seen } = yield* McpTargets.open(targets, input)
    const route = yield* follow
    const { target } = route
    const board = yield* MountDoor.open({ serves: "stdio", instances: seen })
    const pins = yield* pinsOf(target)
    const metrics = yield* MountMetrics.open(Values.text(input, "metrics"))
    const egress = yield* MountEgress.open(input)
    const lists = yield* McpConnect.lists
    const { client: detaching, welcomed } = yield* DetachBridge.make(client, target, detachesAfter)
    const isModernOnly = Values.boolean(input, "modern-client") === true
    const era = { target, verdict: new Verdict(), isModernOnly, isShared: false }
    const bridged = yield* EraBridge.make({ client: detaching, ...era })
    const known = { lists, ...(metrics && { metrics }) }
    const { orphaned } = client
    yield* Shim.run({ client: bridged, orphaned, pins, egress, welcomed, ...route, board, ...known })
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(
        NativeCrypto.layer,
        Telemetry.layer("pilot-mount", Values.text(input, "otlp")),
        Layer.succeed(Logger.LogToStderr, true)
      )
    )
  )
  return silent()
})

/** A rig whose servers are real processes: `everything` from the npm registry, `modern` and `fixture` of this folder. */
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js"
import { Effect, type Scope } from "effect"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as ChildProcess from "../../../src/actors/mcp/server/ChildProcess.ts"
import type { Crypto } from "../../../src/core/crypto/Crypto.ts"
import type { Cut } from "../../support/DuplexPair.ts"
import * as McpRig from "../../support/McpRig.ts"
import { SdkTransport } from "./SdkTransport.ts"

/** Streams deliver pieces of `pieceBytes`. */
export const make = Effect.fnUntraced(function* (
  pieceBytes: number
): Effect.fn.Return<McpRig.McpRig, never, ChildProcessSpawner | Scope.Scope> {
  const spawner = yield* ChildProcessSpawner
  return yield* McpRig.make({
    services: [
      McpRig.service("everything", process.execPath, [
        file("../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js")
      ]),
      McpRig.service("modern", process.execPath, [file("ModernServer.ts")]),
      McpRig.service("fixture", process.execPath, [file("FixtureServer.ts")]),
      // A shell in between, as npx is: the server is a grandchild.
      McpRig.service("grandchild", "/bin/sh", ["-c", `"${process.execPath}" "${file("FixtureServer.ts")}"; exit 0`]),
      McpRig.service("missing", "/nonexistent/server")
    ],
    spawn: (service) =>
      !("command" in service)
        ? Effect.die("only commands here")
        : Effect.provideService(
            ChildProcess.spawn({ ...service, cwd: undefined }, process.env),
            ChildProcessSpawner,
            spawner
          ),
    pieceBytes
  })
})

/** A transport for an SDK client of that service. */
export const transport = (
  rig: McpRig.McpRig,
  service: string,
  node: number,
  era?: McpRig.EraOptions
): Effect.Effect<SdkTransport<JSONRPCMessage, Cut>, never, Crypto | Scope.Scope> =>
  Effect.map(
    rig.client(service, node, undefined, era),
    (duplex) => new SdkTransport(duplex, (line): JSONRPCMessage => JSON.parse(line))
  )

const file = (path: string): string => new URL(path, import.meta.url).pathname

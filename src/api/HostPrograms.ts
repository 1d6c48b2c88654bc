/** `HostInProcess` on this operating system: real processes and URLs, the record of calls in the state directory. */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import { Effect, type FileSystem, Layer, type Path } from "effect"
import { HttpClient } from "effect/http"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as AuditLog from "../actors/mcp/keeper/AuditLog.ts"
import * as ChildProcess from "../actors/mcp/server/ChildProcess.ts"
import * as HttpUpstream from "../actors/mcp/server/HttpUpstream.ts"
import type { Node } from "../actors/node/Node.ts"
import type { RegistryClient } from "../actors/registry/RegistryClient.ts"
import type { PeerKeys } from "../actors/trust/PeerKeys.ts"
import type { Trust } from "../actors/trust/Trust.ts"
import { Crypto } from "../core/crypto/Crypto.ts"
import * as NodeUpstreamClient from "../core/net/NodeUpstreamClient.ts"
import * as HostInProcess from "./HostInProcess.ts"
import { McpHost } from "./McpHost.ts"

type Needs = Crypto | FileSystem.FileSystem | Node | Path.Path | PeerKeys | RegistryClient | Trust

/** The host of a node with that state directory. */
export const layer = (home: string): Layer.Layer<McpHost, never, Needs> =>
  Layer.effect(
    McpHost,
    Effect.gen(function* () {
      const spawner = yield* ChildProcessSpawner
      const client = yield* HttpClient.HttpClient
      const { sha256 } = yield* Crypto
      return yield* HostInProcess.make({
        cardsPath: `${home}/mcp-cards.json`,
        audit: yield* AuditLog.make(`${home}/mcp-audit.jsonl`, sha256),
        start: (service, gate) => {
          if ("url" in service) {
            const { headers, name, url } = service
            return HttpUpstream.open({
              client,
              service: name,
              self: "the host",
              url,
              headers,
              caller: () => gate.callerHeaders(),
              mayRepeat: (message, envelope) => gate.mayRepeat(message, envelope)
            })
          }
          const { args, command, cwd, env } = service
          return Effect.provideService(
            ChildProcess.spawn({ command, args, cwd, env }, process.env),
            ChildProcessSpawner,
            spawner
          )
        }
      })
    })
  ).pipe(Layer.provide([NodeChildProcessSpawner.layer, NodeUpstreamClient.layer]))

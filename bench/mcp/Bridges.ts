/** Ways from a client to a server on another host: ours, those of others, and none. Each is a command for the client. */
import { createConnection } from "node:net"
import { fileURLToPath } from "node:url"
import { Effect, Schedule, Schema } from "effect"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import * as Children from "../Children.ts"
import type * as Network from "../Network.ts"
import type { Command } from "./LineClient.ts"
import * as SdkServer from "./SdkServer.ts"

/** The server itself, started by the client. */
export const direct = (program: string, home: string): Command => ({
  command: process.execPath,
  args: [program],
  env: Pilotctl.environment(home)
})

/** The official SDK's server over streamable HTTP on the loopback, until the end of the scope: its URL. */
export const http = Effect.gen(function* () {
  const child = yield* Children.start([process.execPath, SdkServer.PROGRAM, "http"])
  const port = yield* Effect.flatMap(Children.message(child), Schema.decodeUnknownEffect(Schema.Int))
  return `http://127.0.0.1:${port}/mcp`
})

/** Exposes a server until the end of the scope; one command mounts it. */
export const ours = (network: Network.Network, name: string, program: string) =>
  Effect.as(
    Effect.acquireRelease(
      Pilotctl.run(
        network.server.path,
        ...["mcp", "expose", name, "--allow", "bench-client", "--", process.execPath, program]
      ),
      () => Effect.sync(() => Pilotctl.runSync(network.server.path, "mcp", "unexpose", name))
    ),
    {
      command: process.execPath,
      args: [Pilotctl.PROGRAM, "mcp", "mount", `${network.server.options.hostname}/${name}`],
      env: Pilotctl.environment(network.client.path)
    } satisfies Command
  )

/**
 * What others have for the same purpose, over the loopback in clear: supergateway makes a streamable-HTTP server of a stdio
 * server, and mcp-remote, or another supergateway, a stdio server of that.
 */
export const others = Effect.fnUntraced(function* (program: string, home: string) {
  const serve = `${process.execPath} ${program}`
  yield* Children.start(
    [process.execPath, bin("supergateway"), "--stdio", serve, "--outputTransport", "streamableHttp"].concat([
      "--stateful",
      "--port",
      String(PORT),
      "--logLevel",
      "none"
    ])
  )
  yield* Effect.retry(reachable, { times: 200, schedule: Schedule.spaced("50 millis") })
  const url = `http://127.0.0.1:${PORT}/mcp`
  const env = Pilotctl.environment(home)
  const command = process.execPath
  return {
    "mcp-remote": { command, args: [bin("mcp-remote"), url, "--silent"], env },
    supergateway: { command, args: [bin("supergateway"), "--streamableHttp", url, "--logLevel", "none"], env }
  } satisfies Record<string, Command>
})

const reachable = Effect.tryPromise(
  () =>
    new Promise<void>((resolve, reject) => {
      const socket = createConnection(PORT, "127.0.0.1", () => {
        socket.destroy()
        resolve()
      })
      socket.once("error", reject)
    })
)

const bin = (name: string): string => fileURLToPath(new URL(`../../node_modules/.bin/${name}`, import.meta.url))

const PORT = 38_127

/** A rendezvous and nodes that trust each other, under one temporary directory; `pilotctl` sets it up as a user would. */
import { Effect, FileSystem } from "effect"
import { Pilot } from "effect-pilot"
import * as Pilotctl from "../examples/demo/Pilotctl.ts"

/** The state directories outlive their daemons: a node of another process continues with identity, trust and pins. */
export interface Network {
  readonly server: Home
  readonly client: Home
  /** Another one, which only the server trusts. */
  readonly rival: Home
  /** The state directory of the rendezvous. */
  readonly rendezvous: string
}

/** One node's state directory and how a node of it is started. */
export interface Home {
  readonly path: string
  readonly options: Pilot.NodeOptions
  /** Its daemon, until the scope ends. */
  readonly daemon: ReturnType<typeof startDaemon>
  /** The same with further options. */
  readonly daemonWith: (options: Readonly<Record<string, string>>) => ReturnType<typeof startDaemon>
  /** Starts it once more, after it was killed. */
  readonly startAgain: ReturnType<typeof startAgain>
}

/** Everything ends with the scope. */
export const make = Effect.fnUntraced(function* (serverName: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const directory = yield* fileSystem.makeTempDirectoryScoped({ prefix: "effect-pilot-bench-" })
  const rendezvous = `${directory}/rendezvous`
  const card = yield* Effect.acquireRelease(
    Pilotctl.startRendezvous(rendezvous, "--registry-addr", "127.0.0.1:0", "--beacon-addr", "127.0.0.1:0"),
    () => Effect.sync(() => Pilotctl.runSync(rendezvous, "rendezvous", "stop"))
  )
  const server = makeHome(`${directory}/server`, serverName, card)
  const client = makeHome(`${directory}/client`, "bench-client", card)
  const rival = makeHome(`${directory}/rival`, "bench-rival", card)
  yield* Effect.scoped(
    Effect.gen(function* () {
      yield* Effect.all([server.daemon, client.daemon, rival.daemon])
      for (const { path } of [client, rival]) yield* establishTrust(server.path, path, serverName)
    })
  )
  return { server, client, rival, rendezvous } satisfies Network
})

const makeHome = (path: string, hostname: string, card: Pilotctl.Card): Home => {
  const options = {
    hostname,
    listen: "127.0.0.1:0",
    registry: card.registry,
    registryFingerprint: card.fingerprint,
    beacon: card.beacon
  }
  return {
    path,
    options: { ...options, home: path },
    daemon: startDaemon(path, options),
    daemonWith: (more) => startDaemon(path, { ...options, ...more }),
    startAgain: startAgain(path, options)
  }
}

const startAgain = (home: string, options: Readonly<Record<string, string>>) =>
  Pilotctl.run(
    home,
    ...["daemon", "start"],
    ...Object.entries(options).flatMap(([key, value]) => [
      `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      value
    ])
  )

const startDaemon = (home: string, options: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(startAgain(home, options), () => Effect.sync(() => Pilotctl.runSync(home, "daemon", "stop")))

const establishTrust = Effect.fnUntraced(function* (server: string, client: string, serverName: string) {
  yield* Pilotctl.run(client, "trust", "add", serverName, "benchmark")
  const { fingerprint, node } = yield* Pilot.info.pipe(Effect.provide(Pilot.layerDaemon({ home: client })))
  yield* Pilotctl.awaitPending(server, node)
  yield* Pilotctl.run(server, "approve", String(node), "--fingerprint", fingerprint)
  yield* Pilotctl.awaitTrusted(client)
})

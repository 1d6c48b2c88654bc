/** A rendezvous and nodes for programs that show something: processes of their own in one temporary directory, all gone at the end. */
import { Console, Deferred, Effect, FileSystem, type PlatformError, type Scope, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { Pilot, Trust } from "effect-pilot"
import * as Pilotctl from "./Pilotctl.ts"

/** Where it happens. */
export interface Stage {
  readonly directory: string
  readonly card: Pilotctl.Card
}

/** Starts the rendezvous. */
export const make = (
  prefix: string
): Effect.Effect<Stage, Pilotctl.CommandFailed | PlatformError.PlatformError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const directory = yield* fileSystem.makeTempDirectoryScoped({ prefix })
    const home = `${directory}/rendezvous`
    yield* stopping(home, "rendezvous", "stop")
    const local = ["--registry-addr", "127.0.0.1:0", "--beacon-addr", "127.0.0.1:0"]
    return { directory, card: yield* Pilotctl.startRendezvous(home, ...local) }
  })

/** Starts a node of that name; gives its state directory. */
export const node = Effect.fnUntraced(function* ({ card, directory }: Stage, hostname: string) {
  const home = `${directory}/${hostname}`
  yield* stopping(home, "daemon", "stop")
  yield* Pilotctl.run(
    home,
    ...["daemon", "start", "--hostname", hostname, "--listen", "127.0.0.1:0"],
    ...["--registry", card.registry, "--registry-fingerprint", card.fingerprint, "--beacon", card.beacon]
  )
  return home
})

/** What will stop something is in place before it starts, because Ctrl-C may come while it does. */
export const stopping = (home: string, ...args: ReadonlyArray<string>): Effect.Effect<void, never, Scope.Scope> =>
  Effect.addFinalizer(() => Effect.sync(() => Pilotctl.runSync(home, ...args)))

/** One asks, the owner of the other compares the fingerprint and approves; both know it when this returns. */
export const trust = Effect.fnUntraced(function* (asking: string, approving: string, why: string) {
  const { fingerprint, node } = yield* inside(asking, Pilot.info)
  const other = yield* inside(approving, Pilot.info)
  yield* inside(asking, Trust.request(other.hostname, why))
  yield* inside(
    approving,
    Trust.watch.pipe(
      Stream.filter((change) => change._tag === "Asked" && change.pending.node === node),
      Stream.take(1),
      Stream.runForEach(() => Trust.approve(node, fingerprint))
    )
  )
  yield* inside(
    asking,
    Trust.watch.pipe(
      Stream.takeUntil((change) => change._tag === "Approved" && change.trusted.node === other.node),
      Stream.runDrain
    )
  )
})

/** What programs beside the daemon of that state directory have. */
export const beside = (home: string) => Pilot.layerDaemon({ home })

/** Runs such a program. */
export const inside = <A, E>(home: string, program: Effect.Effect<A, E, Pilot.Services>) =>
  Effect.provide(program, beside(home))

/** Runs a program beside the daemon of that state directory, and tells what it prints; returns once it has printed `ready`. */
export const program = Effect.fnUntraced(function* (
  home: string,
  path: string,
  args: ReadonlyArray<string>,
  ready: string
) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const env = Pilotctl.environment(home)
  const child = yield* spawner.spawn(ChildProcess.make(process.execPath, [path, ...args], { env, stdin: "ignore" }))
  const isReady = yield* Deferred.make<void, Pilotctl.CommandFailed>()
  const name = home.slice(home.lastIndexOf("/") + 1)
  const output: Array<string> = []
  yield* child.all.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runForEach((line) => {
      output.push(line)
      return Effect.andThen(fact(name, line), line === ready ? Deferred.succeed(isReady, undefined) : Effect.void)
    }),
    Effect.ignore,
    Effect.andThen(
      Effect.suspend(() =>
        Deferred.fail(isReady, new Pilotctl.CommandFailed({ command: path, output: output.join("\n") }))
      )
    ),
    Effect.forkScoped
  )
  yield* Deferred.await(isReady)
})

/** Says what comes now. */
export const step = (text: string): Effect.Effect<void> => Console.log(`\n• ${text}`)

/** Says what came of it. */
export const fact = (name: string, text: string): Effect.Effect<void> => Console.log(`    ${name}: ${text}`)

/** Says what somebody typed. */
export const said = (who: string, text: string): Effect.Effect<void> => Console.log(`    ${who}$ ${text}`)

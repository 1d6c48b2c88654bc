/** An MCP server in memory that does what a test tells it, line by line. */
import { Deferred, Effect, type Scope } from "effect"
import type { Child } from "../../src/actors/mcp/server/Child.ts"
import { ChildGone } from "../../src/actors/mcp/server/Child.ts"
import type { Duplex } from "../../src/core/net/Duplex.ts"
import { LineSplitter } from "../../src/protocol/relay/LineSplitter.ts"
import * as DuplexPair from "./DuplexPair.ts"

/** One life of a server. */
export interface ScriptedServer {
  readonly child: Child
  /** The next line of the client. */
  readonly line: Effect.Effect<string, unknown>
  readonly write: (text: string) => Effect.Effect<void, DuplexPair.Cut>
  readonly die: Effect.Effect<void>
  /** It closes its output, as a program does that ends; what it wrote is read first. */
  readonly close: Effect.Effect<void>
  /** Completes when it was told to stop. */
  readonly stopped: Effect.Effect<void>
}

/** A server that runs until its scope ends or it dies. `capacity` chunks fit in each of its pipes. */
export const make = Effect.fnUntraced(function* (
  options: { readonly capacity?: number } = {}
): Effect.fn.Return<ScriptedServer, never, Scope.Scope> {
  const { cut, left, right } = yield* DuplexPair.make(options)
  const exited = yield* Deferred.make<string>()
  const stopped = yield* Deferred.make<void>()
  yield* Effect.addFinalizer(() => Deferred.succeed(stopped, undefined))
  const gone = () => new ChildGone({ detail: "gone" })
  return {
    child: {
      pid: 1,
      stdio: {
        read: Effect.mapError(left.read, (error) => (error._tag === "Cut" ? gone() : error)),
        write: (bytes) => Effect.mapError(left.write(bytes), gone),
        end: left.end
      },
      exited: Deferred.await(exited),
      stderrTail: Effect.succeed(["last words"])
    },
    line: lines(right),
    write: (text) => right.write(new TextEncoder().encode(text)),
    close: Effect.andThen(Deferred.succeed(exited, "it ended"), right.end),
    die: Effect.andThen(Deferred.succeed(exited, "it died"), cut),
    stopped: Deferred.await(stopped)
  }
})

/** The lines of a byte stream, one at a time. */
export const lines = <E>(duplex: Duplex<E>): Effect.Effect<string, unknown> => {
  const splitter = new LineSplitter(64 * 1_048_576)
  const waiting: Array<string> = []
  return Effect.gen(function* () {
    while (waiting.length === 0) {
      for (const line of splitter.push(yield* duplex.read)) {
        waiting.push(line._tag === "Whole" ? new TextDecoder().decode(line.bytes) : "")
      }
    }
    return waiting.shift() ?? ""
  })
}

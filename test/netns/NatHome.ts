/** A home's process of nodes, asked line by line; any number of questions at once. */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Deferred, Effect, Schema } from "effect"
import { rolldown } from "rolldown"
import * as Namespaces from "./Namespaces.ts"
import { Awaited, Card, Dialled, Pulsed, Reserved } from "./NatCommand.ts"

/** The program, in one file that loads in a fraction of the time. */
export const program = (directory: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    const file = join(directory, "node.mjs")
    const input = fileURLToPath(new URL("NatNode.ts", import.meta.url))
    // As in scripts/build.mjs.
    const alias = { "jsonc-parser": fileURLToPath(import.meta.resolve("jsonc-parser").replace("/umd/", "/esm/")) }
    await using bundle = await rolldown({ input, platform: "node", logLevel: "silent", resolve: { alias } })
    await bundle.write({ file, format: "esm", codeSplitting: false })
    return file
  })

/** The process said that a command failed, or something that is no answer. */
export class NodeFailed extends Schema.TaggedError<NodeFailed>()("NodeFailed", { detail: Schema.String }) {}

/** Starts the rendezvous; what nodes need to know of it. */
export const rendezvous = (net: Namespaces.Host, program: string) =>
  net
    .start(process.execPath, program, "rendezvous")
    .pipe(Effect.flatMap(Namespaces.saidSomething), Effect.flatMap(Schema.decodeEffect(Schema.fromJsonString(Card))))

/** Starts one; it ends with the scope. */
export const make = Effect.fnUntraced(function* (
  host: Namespaces.Host,
  program: string,
  directory: string,
  card: typeof Card.Encoded
) {
  const child = yield* host.start(process.execPath, program, "nodes", directory, JSON.stringify(card))
  const waiting = new Map<number, Deferred.Deferred<unknown, NodeFailed>>()
  let lastId = 0
  let complaints = ""
  child.stderr?.on("data", (chunk) => (complaints += chunk))
  child.once("exit", () => {
    for (const answer of waiting.values())
      Effect.runSync(Deferred.fail(answer, new NodeFailed({ detail: `ended: ${complaints}` })))
  })
  lines(child, (line) => {
    const said = Schema.decodeSync(Schema.fromJsonString(Said))(line)
    const answer = waiting.get(said.id ?? -1)
    if (answer === undefined) return
    waiting.delete(said.id ?? -1)
    Effect.runSync(
      said.error === undefined
        ? Deferred.succeed(answer, said.value)
        : Deferred.fail(answer, new NodeFailed({ detail: said.error }))
    )
  })
  const ask = Effect.fnUntraced(function* (command: object) {
    const id = ++lastId
    const answer = yield* Deferred.make<unknown, NodeFailed>()
    waiting.set(id, answer)
    child.stdin?.write(`${JSON.stringify({ id, ...command })}\n`)
    return yield* Deferred.await(answer)
  })
  const asked =
    <A>(schema: Schema.Codec<A, unknown>) =>
    (command: object) =>
      Effect.flatMap(ask(command), Schema.decodeUnknownEffect(schema))
  return {
    take: asked(Reserved)({ op: "take" }),
    open: (name: string, own: Who, peer: Who) => ask({ op: "open", name, own, peer }),
    close: (name: string, own: Who, peer: Who) => ask({ op: "close", name, own, peer }),
    dial: (name: string, to: string, waitMs: number) => asked(Dialled)({ op: "dial", name, to, waitMs }),
    pulse: (name: string, to: string, waitMs: number) => asked(Pulsed)({ op: "pulse", name, to, waitMs }),
    awaitDirect: (name: string, to: string, waitMs: number) => asked(Awaited)({ op: "await", name, to, waitMs })
  }
})

type Who = typeof Reserved.Type

const Said = Schema.Struct({
  id: Schema.optionalKey(Schema.Int),
  value: Schema.optionalKey(Schema.Unknown),
  error: Schema.optionalKey(Schema.String)
})

const lines = (child: { readonly stdout: NodeJS.ReadableStream | null }, take: (line: string) => void): void => {
  let rest = ""
  child.stdout?.on("data", (chunk) => {
    const parts = (rest + String(chunk)).split("\n")
    rest = parts.pop() ?? ""
    for (const line of parts) take(line)
  })
}

/**
 * An agent that answers a research question with the tools of others: a database by a server of this host, web pages by one of
 * a peer. Both are effects, with types, and end with the scope. `node researcher.ts TOPIC URL DATABASE`
 */
import { fileURLToPath } from "node:url"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Schema, Stream } from "effect"
import { Mcp, Pilot } from "effect-pilot"

const Papers = Schema.Struct({
  rows: Schema.Array(Schema.Struct({ title: Schema.String, year: Schema.Int }))
})
const Page = Schema.Struct({ text: Schema.String })

const research = Effect.fn("research")(function* (topic: string, url: string, database: string) {
  const db = yield* Mcp.stdio(process.execPath, [fileURLToPath(new URL("papers.ts", import.meta.url)), database])
  const sql = "select title, year from papers where topic = ? order by year"
  const { rows } = yield* db.call("query", { sql, params: [topic] }, Papers)

  const web = yield* Mcp.connect("scout/fetch", { timeLimit: "1 minute", safe: ["fetch"] })
  yield* web
    .watch("fetch", { url })
    .pipe(
      Stream.runForEach((update) =>
        update._tag === "Progress" ? Console.log(`scout: ${update.progress.message}`) : Effect.void
      )
    )
  const page = yield* web.call("fetch", { url }, Page)

  // The same tools by what they can do: whoever offers them best, with every peer that offers the same behind it.
  const found = yield* Mcp.connect(Mcp.capable("fetch a web page", { properties: { url: { type: "string" } } }))
  const names = (yield* found.tools).map(({ name }) => name)
  return { papers: rows.length, newest: rows.at(-1)?.title ?? "none", words: page.text.split(/\s+/).length, names }
}, Effect.scoped)

const [topic = "SACK", url = "", database = ""] = process.argv.slice(2)
research(topic, url, database).pipe(
  Effect.flatMap(({ names, newest, papers, words }) =>
    Console.log(
      `${papers} papers on ${topic}, the newest ${newest}; ${words} words on the page; tools: ${names.join()}`
    )
  ),
  Effect.provide(Pilot.layerDaemon()),
  NodeRuntime.runMain
)

/** Scraper, analyzer, reporter: each asks the one before it, and the machine in the middle loses power on the way. */
import { Effect, Layer, Schema } from "effect"
import { Tasks } from "effect-pilot"
import type { SimNet } from "effect-pilot/testing"

const Url = Schema.Struct({ url: Schema.String })

/** A page's text. */
export const Scrape = Tasks.make("scrape", { input: Url, output: Schema.Struct({ text: Schema.String }) })

/** What is in it. */
export const Analyze = Tasks.make("analyze", {
  input: Url,
  progress: Schema.Literals(["read", "counted"]),
  output: Schema.Struct({ words: Schema.Int, longest: Schema.String })
})

/** The pages of this example's web. */
const WEB: Readonly<Record<string, string>> = {
  "http://a.example/": "selective acknowledgements survive reordering",
  "http://b.example/": "tunnels are streams"
}

/** Fetches. A page that is not there is no use trying again. */
export const scraper = Tasks.serve(
  Scrape,
  ({ url }) =>
    Effect.gen(function* () {
      const text = WEB[url]
      return text === undefined ? yield* Effect.fail(`${url}: 404`) : { text }
    }),
  { concurrency: 4 }
)

/** Analyzes, which takes a while. */
export const analyzer = Tasks.serve(
  Analyze,
  Effect.fnUntraced(function* ({ url }, job) {
    const { text } = yield* Tasks.call(Scrape, { url }, { to: "scraper", id: `${job.id}-page` })
    yield* job.progress("read")
    yield* Effect.sleep("5 seconds")
    const words = text.split(" ")
    yield* job.progress("counted")
    return { words: words.length, longest: words.toSorted((a, b) => b.length - a.length)[0] ?? "" }
  }),
  { concurrency: 4 }
)

/** Reports on each page, whether it could be analyzed or not. */
export const report = (urls: ReadonlyArray<string>) =>
  Effect.forEach(
    urls,
    (url) =>
      Tasks.call(Analyze, { url }, { to: "analyzer" }).pipe(
        Effect.map(({ longest, words }) => `${url} ${words} words, the longest ${longest}`),
        Effect.catchTag("TaskFailed", ({ detail }) => Effect.succeed(`${url} ${detail.replace(/^task \S+ /, "")}`))
      ),
    { concurrency: 4 }
  )

/** What it shows. */
export const SHOWS =
  "scraper → analyzer → reporter; the analyzer's machine loses power on the way, and one page does not exist"

/** Both pages are on their way when the analyzer's machine dies. */
export const play = Effect.fn("pipeline")(function* (net: SimNet.SimNet) {
  const reporting = yield* net.node("reporter", { nat: "symmetric" })
  const middle = yield* net.node("analyzer", { main: Layer.launch(analyzer) })
  const scraping = yield* net.node("scraper", { link: { rttMs: 80, loss: 0.02 }, main: Layer.launch(scraper) })
  yield* Effect.all([net.trust(reporting, middle), net.trust(middle, scraping)])
  const dying = Effect.gen(function* () {
    yield* net.sleep("3 seconds")
    yield* net.crash(middle)
    yield* net.sleep("20 seconds")
    yield* net.restart(middle)
  })
  yield* Effect.forkScoped(dying)
  return yield* reporting.run(report([...Object.keys(WEB), "http://gone.example/"]))
})

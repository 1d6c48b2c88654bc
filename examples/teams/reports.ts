/** A database agent and a report agent: rows stay where they are, questions and answers travel as tasks. */
import { DatabaseSync } from "node:sqlite"
import { Effect, Layer, Schema } from "effect"
import { Tasks } from "effect-pilot"
import type { SimNet } from "effect-pilot/testing"

/** What the database agent answers: a question, not a statement, so that nobody writes SQL for somebody else's database. */
export const Revenue = Tasks.make("revenue", {
  input: Schema.Struct({ quarter: Schema.Literals(["Q3", "Q4"]) }),
  output: Schema.Struct({ rows: Schema.Int, total: Schema.Finite })
})

/** What the report agent is asked for. */
export const Report = Tasks.make("report", { input: Schema.Struct({ title: Schema.String }), output: Schema.String })

/** The agent beside the database. */
export const database = Layer.unwrap(
  Effect.sync(() => {
    const sales = new DatabaseSync(":memory:")
    sales.exec(`create table sales (quarter text, amount real);
      insert into sales values ('Q3', 600), ('Q3', 400), ('Q4', 700), ('Q4', 530)`)
    const question = sales.prepare("select count(*) as rows, sum(amount) as total from sales where quarter = ?")
    return Tasks.serve(Revenue, ({ quarter }) =>
      Schema.decodeUnknownEffect(Revenue.output)({ ...question.get(quarter) })
    )
  })
)

/** The agent that writes. What it asks has an id of its own task, so that another attempt finds the answer that is there. */
export const reporter = Tasks.serve(
  Report,
  Effect.fnUntraced(function* ({ title }, job) {
    const ask = (quarter: "Q3" | "Q4") =>
      Tasks.call(Revenue, { quarter }, { to: "database", id: `${job.id}-${quarter}`, deadline: "10 minutes" })
    const [before, now] = yield* Effect.all([ask("Q3"), ask("Q4")], { concurrency: 2 })
    const change = Math.round((now.total / before.total - 1) * 100)
    return `${title}: ${now.rows} sales, ${now.total} in Q4, up ${change}%`
  })
)

/** What it shows. */
export const SHOWS =
  "a database agent and a report agent: rows stay, answers travel; the database is away when the question comes"

/** Who asks for the report trusts the reporter, and knows nothing of a database, which is away when the question comes. */
export const play = Effect.fn("reports")(function* (net: SimNet.SimNet) {
  const manager = yield* net.node("manager")
  const writing = yield* net.node("reporter", { nat: "symmetric", main: Layer.launch(reporter) })
  const keeping = yield* net.node("database", { nat: "portRestrictedCone", main: Layer.launch(database) })
  yield* Effect.all([net.trust(manager, writing), net.trust(writing, keeping)])
  yield* net.cut(keeping)
  yield* net.at("60 seconds", net.heal(keeping))
  return [yield* manager.run(Tasks.call(Report, { title: "Sales" }, { to: "reporter" }))]
})

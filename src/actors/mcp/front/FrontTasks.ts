/**
 * The tasks of a legacy client at all services of a front (mcp §1.6, §6.11): they belong to the sessions that are open, so a
 * service that this client has not used has none.
 */
import { Effect } from "effect"
import * as Json from "../../../core/data/Json.ts"
import * as FederatedName from "../../../protocol/mcp/FederatedName.ts"
import type { FrontServices } from "./FrontServices.ts"
import type { FrontUpstream } from "./FrontUpstream.ts"

/** All of them, in the order of the services; those of a service that does not answer are left out. */
export const list = (services: FrontServices): Effect.Effect<{ readonly tasks: ReadonlyArray<Json.JsonObject> }> =>
  Effect.map(
    Effect.forEach(
      services.all(),
      (service) => {
        const upstream = services.openNow(service.alias)
        if (upstream === undefined || !hasList(upstream)) return Effect.succeed([])
        return pages(upstream).pipe(
          Effect.timeoutOption(LIST_TIMEOUT),
          Effect.map((found) => (found._tag === "Some" ? found.value : [])),
          Effect.catch(({ message }) =>
            Effect.as(
              Effect.logWarning(`mcp: no tasks of ${service.target.peer}/${service.target.service}: ${message}`),
              []
            )
          ),
          Effect.map((tasks) =>
            tasks.map((task) => ({
              ...task,
              taskId: FederatedName.task(service.alias, Json.string(task, "taskId"))
            }))
          )
        )
      },
      { concurrency: LISTS_AT_ONCE }
    ),
    (tasks) => ({ tasks: tasks.flat() })
  )

const pages = Effect.fnUntraced(function* ({ ask, params }: FrontUpstream) {
  const tasks: Array<Json.JsonObject> = []
  let cursor = ""
  while (tasks.length < TASKS_MAX) {
    const result = yield* ask("tasks/list", params(cursor === "" ? {} : { cursor }))
    const page = Json.objects(result, "tasks").filter((task) => Json.string(task, "taskId") !== "")
    tasks.push(...page)
    cursor = Json.string(result, "nextCursor")
    if (cursor === "" || page.length === 0) break
  }
  return tasks.slice(0, TASKS_MAX)
})

const hasList = ({ era }: FrontUpstream): boolean => {
  const tasks = Json.member(era.capabilities, "tasks")
  return era.kind === "legacy" && Json.isObject(tasks) && Json.isObject(Json.member(tasks, "list"))
}

/** Tasks of one service in the list. */
const TASKS_MAX = 256
const LISTS_AT_ONCE = 8
const LIST_TIMEOUT = "5 seconds"

/** What peers may ask a keeper about the services that they may use, beside opening them (`PlainRequests`). */
import { Effect } from "effect"
import type { JsonObject } from "../../../core/data/Json.ts"
import * as CardExchange from "../../../protocol/directory/CardExchange.ts"
import * as ServiceListing from "../../../protocol/relay/ServiceListing.ts"
import type { Address } from "../../../protocol/wire/Address.ts"
import type { Handlers } from "./PlainRequests.ts"
import type { ServiceHealth } from "./ServiceBreaker.ts"
import type { Inspection } from "./ServiceInspector.ts"
import type { Service } from "./ServiceTable.ts"

/** Where the answers come from. */
export interface Options {
  /** Those that the peer at that address may use. */
  readonly list: (remote: Address) => Effect.Effect<ReadonlyArray<Service>>
  /** The capability cards of services, for `CardExchange`; absent: there are none. */
  readonly cards?: (services: ReadonlyArray<Service>, params: JsonObject) => Effect.Effect<JsonObject>
  /** What was found when somebody looked at the service's server last; absent: nobody looks. */
  readonly inspected?: (service: Service) => Inspection | undefined
}

/** The questions and their answers. */
export const handlers = (
  { cards, inspected, list }: Options,
  health: (service: string) => ServiceHealth,
  wallMs: () => number
): Handlers => {
  const listed = (service: Service): ServiceListing.ListedService => {
    const { breaker, retryInMs } = health(service.name)
    const seen = inspected?.(service)
    const look = seen && {
      verdict: seen.report.verdict,
      tools: seen.report.tools.length,
      agoMs: Math.max(0, wallMs() - seen.atMs)
    }
    const { name, title = "" } = service
    return { name, title, health: { breaker, retryInMs, ...(look && { look }) } }
  }
  return {
    [ServiceListing.METHOD]: (remote) =>
      Effect.map(list(remote), (services) => ServiceListing.result(services.map(listed))),
    ...(cards && {
      [CardExchange.METHOD]: (remote, params) => Effect.flatMap(list(remote), (services) => cards(services, params))
    })
  }
}

/** Where a session leads: a service of a peer, `PEER/SERVICE` for people. */
export interface Target {
  readonly peer: string
  readonly service: string
}

/** The target in a text; undefined when it is none. */
export const parse = (text: string): Target | undefined => {
  const slash = text.indexOf("/")
  const [peer, service] = [text.slice(0, slash), text.slice(slash + 1)]
  return slash > 0 && service !== "" && !service.includes("/") ? { peer, service } : undefined
}

/** Whether two are the same. */
export const isSame = (one: Target, other: Target): boolean => one.peer === other.peer && one.service === other.service

/** One or several of them, which are instances of the same service. */
export type Targets = readonly [Target, ...ReadonlyArray<Target>]

/** Those in a text, with commas between; undefined when one is none, or there are too many. */
export const parseInstances = (text: string): Targets | undefined => {
  const words = text.split(",").map((word) => word.trim())
  const [first, ...others] = words.flatMap((word) => parse(word) ?? [])
  const isWhole = others.length + 1 === words.length && words.length <= INSTANCES_MAX
  return first === undefined || !isWhole ? undefined : [first, ...others]
}

/** Instances behind one mount: each is measured all the time. */
export const INSTANCES_MAX = 8

/** As people write them. */
export const format = (targets: ReadonlyArray<Target>): string =>
  targets.map(({ peer, service }) => `${peer}/${service}`).join(", ")

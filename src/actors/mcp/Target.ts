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

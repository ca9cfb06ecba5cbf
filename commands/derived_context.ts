/**
 * A verb's place with something else about it.
 *
 * @module
 */
import type { VerbContext } from "./verb.ts";

/**
 * Makes a context out of another.
 *
 * @param context The other; what is not changed is asked of it when it is wanted, since asking for input
 *   begins to read it
 * @param own What differs; undefined takes something away
 */
export function derivedContext(
  context: VerbContext,
  own: { readonly [Key in keyof VerbContext]?: VerbContext[Key] | undefined },
): VerbContext {
  return new Proxy(context, {
    get(_, key) {
      if (Object.hasOwn(own, key)) return own[key as keyof VerbContext];
      const value = context[key as keyof VerbContext];
      return typeof value === "function" ? value.bind(context) : value;
    },
  });
}

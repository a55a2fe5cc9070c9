// Bytes in, JSON values out, one per line. Blanks between and around lines are heartbeats and are dropped.

/** Calls `onValue(value)` for each line fed to it; a line that is no JSON throws SyntaxError. */
export class NdjsonParser {
	#decoder = new TextDecoder();
	#rest = [];
	#onValue;

	constructor(onValue) {
		this.#onValue = onValue;
	}

	feed(bytes) {
		this.#take(this.#decoder.decode(bytes, { stream: true }));
	}

	/** The stream is over: a last line may lack its newline. */
	end() {
		this.#take(`${this.#decoder.decode()}\n`);
	}

	#take(text) {
		let from = 0;
		for (let to = text.indexOf('\n'); to >= 0; to = text.indexOf('\n', from)) {
			this.#rest.push(text.slice(from, to));
			this.#line(this.#rest.join(''));
			this.#rest = [];
			from = to + 1;
		}
		if (from < text.length) this.#rest.push(text.slice(from));
	}

	#line(line) {
		const text = line.trim();
		if (text !== '') this.#onValue(JSON.parse(text));
	}
}

// localStorage that never throws: it can be full, switched off, or hold what somebody else wrote.

export const KEYS = {
	conversations: 'ollama-conversations', // the name and shape of the application before this one
	broken: 'ollama-conversations-unreadable',
	model: 'ollachat-model',
	theme: 'ollachat-theme',
	apiKey: 'ollachat-api-key',
};

export function readText(key) {
	try {
		return localStorage.getItem(key);
	} catch {
		return null;
	}
}

/** Writes, or removes when `text` is null. Returns whether it was kept. */
export function writeText(key, text) {
	try {
		if (text === null) localStorage.removeItem(key);
		else localStorage.setItem(key, text);
		return true;
	} catch {
		return false;
	}
}

/** The stored conversations, and whether what is stored could be read at all. */
export function readConversations() {
	const text = readText(KEYS.conversations);
	if (text === null || text === '') return { list: [], broken: false };
	try {
		const value = JSON.parse(text);
		if (!Array.isArray(value)) throw new TypeError('not a list');
		return { list: value.map(normalConversation).filter(Boolean), broken: false };
	} catch {
		return { list: [], broken: true };
	}
}

export function writeConversations(list) {
	return writeText(KEYS.conversations, JSON.stringify(list));
}

/** Puts text that cannot be read aside, so that saving new chats does not destroy it. */
export function setBrokenAside() {
	const text = readText(KEYS.conversations);
	return writeText(KEYS.broken, text) && writeText(KEYS.conversations, null);
}

function normalConversation(value) {
	if (!isObject(value) || (typeof value.id !== 'string' && typeof value.id !== 'number')) return null;
	const messages = withOwnIds(Array.isArray(value.messages) ? value.messages.map(normalMessage).filter(Boolean) : []);
	if (messages.length === 0) return null;
	return {
		...value,
		id: String(value.id),
		title: typeof value.title === 'string' && value.title !== '' ? value.title : 'Chat',
		createdAt: normalTime(value.createdAt),
		updatedAt: normalTime(value.updatedAt ?? value.createdAt),
		messages,
	};
}

function normalMessage(value, index) {
	if (!isObject(value) || typeof value.content !== 'string' || typeof value.role !== 'string') return null;
	return {
		...value,
		id: value.id === undefined || value.id === null ? `m${index}` : String(value.id),
		timestamp: normalTime(value.timestamp),
	};
}

/** Two messages of one conversation never share an id. */
function withOwnIds(messages) {
	const seen = new Set();
	return messages.map((message, index) => {
		const id = seen.has(message.id) ? `${message.id}-${index}` : message.id;
		seen.add(id);
		return { ...message, id };
	});
}

function normalTime(value) {
	const time = new Date(typeof value === 'string' || typeof value === 'number' ? value : 0);
	return Number.isNaN(time.getTime()) ? new Date(0).toISOString() : time.toISOString();
}

function isObject(value) {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}

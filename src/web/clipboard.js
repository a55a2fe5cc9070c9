// Copies text. navigator.clipboard exists only in secure contexts; over plain HTTP the old command is what works.

import { announce } from './dom.js';

const SHOW_MS = 2000;
const timers = new WeakMap(); // button -> the timer that gives it its own look back

/** Copies, and shows on the button for a moment how it went. The button has an icon, and may have a span with a word. */
export async function copyFrom(button, text) {
	const done = await copyText(text);
	const show = (icon, word, copied) => {
		button.querySelector('use').setAttribute('href', icon);
		const label = button.querySelector('span');
		if (label) label.textContent = word;
		if (copied === null) delete button.dataset.copied;
		else button.dataset.copied = String(copied);
	};
	show(done ? '#icon-check' : '#icon-warn', done ? 'Copied' : 'Not copied', done);
	announce(done ? 'Copied.' : 'Could not be copied.');
	clearTimeout(timers.get(button));
	timers.set(button, setTimeout(() => show('#icon-copy', 'Copy', null), SHOW_MS));
}

async function copyText(text) {
	if (window.isSecureContext && navigator.clipboard) {
		try {
			await navigator.clipboard.writeText(text);
			return true;
		} catch { /* permission denied: the old way may still work */ }
	}
	return copyByCommand(text);
}

function copyByCommand(text) {
	const before = document.activeElement;
	const area = document.createElement('textarea');
	area.value = text;
	area.readOnly = true;
	area.className = 'copy-source';
	area.setAttribute('aria-hidden', 'true');
	// A modal dialog makes everything outside of it inert, and what is inert cannot be selected.
	(document.querySelector('dialog[open]') ?? document.body).append(area);
	area.select();
	area.setSelectionRange(0, text.length);
	let done = false;
	try {
		done = document.execCommand('copy');
	} catch { /* stays false */ }
	area.remove();
	before?.focus({ preventScroll: true });
	return done;
}

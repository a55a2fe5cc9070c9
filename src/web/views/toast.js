// A short word at the bottom of the page that goes away by itself, with one action at most.

import { announce, byId, h } from '../dom.js';

const STAY_MS = 8000;

export function toast(text, action = null) {
	const box = byId('toasts');
	const node = h('div', { class: 'toast' }, h('span', {}, text));
	let timer = null;
	const remove = () => {
		clearTimeout(timer);
		node.remove();
	};
	const wait = () => {
		clearTimeout(timer);
		timer = setTimeout(remove, STAY_MS);
	};
	if (action) {
		node.append(h('button', { type: 'button', class: 'toast-action', on: { click: () => {
			remove();
			action.run();
		} } }, action.label));
	}
	// Who is about to press the button needs it to stay.
	node.addEventListener('pointerenter', () => clearTimeout(timer));
	node.addEventListener('focusin', () => clearTimeout(timer));
	node.addEventListener('pointerleave', wait);
	node.addEventListener('focusout', wait);
	box.replaceChildren(node);
	announce(action ? `${text} ${action.label} is available.` : text);
	wait();
}

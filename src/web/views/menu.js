// A small menu beside a button: opens, takes the arrow keys, closes on a choice, Escape or a click elsewhere.

import { h } from '../dom.js';

const GAP = 6;
const EDGE = 8;

let closeOpenMenu = null; // at most one menu is open on the page

/** `items`: { label, hint, icon, checked (for a choice among several), danger, choose }. `title` is for ears. */
export function openMenu(anchor, title, items, { align = 'start' } = {}) {
	const wasOpenHere = closeOpenMenu?.anchor === anchor;
	closeOpenMenu?.();
	if (wasOpenHere) return;

	const close = (refocus = false) => {
		if (closeOpenMenu !== close) return;
		closeOpenMenu = null;
		menu.remove();
		anchor.setAttribute('aria-expanded', 'false');
		document.removeEventListener('pointerdown', onOutside, true);
		window.removeEventListener('resize', onMove);
		window.removeEventListener('scroll', onScroll, true);
		if (refocus) anchor.focus({ preventScroll: true });
	};
	close.anchor = anchor;
	const onOutside = (event) => {
		if (!menu.contains(event.target) && !anchor.contains(event.target)) close();
	};
	const onMove = () => close();
	const onScroll = (event) => {
		if (!menu.contains(event.target)) close();
	};

	const menu = h('div', { class: 'menu', role: 'menu', 'aria-label': title }, ...items.map((item) => menuItem(item, close)));
	menu.addEventListener('keydown', (event) => onKey(event, menu, close));
	document.body.append(menu);
	place(menu, anchor, align);
	anchor.setAttribute('aria-expanded', 'true');
	closeOpenMenu = close;
	document.addEventListener('pointerdown', onOutside, true);
	window.addEventListener('resize', onMove);
	// Not the list itself: it may be longer than the screen.
	window.addEventListener('scroll', onScroll, true);
	(menu.querySelector('[aria-checked="true"]') ?? menu.firstElementChild)?.focus();
}

function menuItem(item, close) {
	const isChoice = item.checked !== undefined;
	return h('button', {
		type: 'button',
		class: item.danger ? 'menu-item danger' : 'menu-item',
		role: isChoice ? 'menuitemradio' : 'menuitem',
		'aria-checked': isChoice ? String(item.checked) : null,
		tabindex: '-1',
		on: {
			click: () => {
				close(true);
				item.choose();
			},
		},
	}, item.icon, h('span', { class: 'menu-text' },
		h('span', { class: 'menu-label' }, item.label),
		item.hint ? h('span', { class: 'menu-hint' }, item.hint) : null), item.mark);
}

function onKey(event, menu, close) {
	const items = [...menu.children];
	const at = items.indexOf(document.activeElement);
	const to = { ArrowDown: at + 1, ArrowUp: at - 1 + items.length, Home: 0, End: items.length - 1 }[event.key];
	if (to !== undefined) items[to % items.length].focus();
	else if (event.key === 'Escape') close(true);
	else if (event.key === 'Tab') close(true);
	else return;
	event.preventDefault();
	event.stopPropagation();
}

/** Below the anchor, or above when there is more room; always within the window. */
function place(menu, anchor, align) {
	const at = anchor.getBoundingClientRect();
	const { offsetWidth: width, offsetHeight: height } = menu;
	const left = align === 'end' ? at.right - width : align === 'center' ? at.left + (at.width - width) / 2 : at.left;
	const below = window.innerHeight - at.bottom - GAP - EDGE;
	const above = at.top - GAP - EDGE;
	const upward = below < height && above > below;
	menu.style.left = `${Math.max(EDGE, Math.min(left, window.innerWidth - width - EDGE))}px`;
	menu.style.maxHeight = `${upward ? above : below}px`;
	if (upward) menu.style.bottom = `${window.innerHeight - at.top + GAP}px`;
	else menu.style.top = `${at.bottom + GAP}px`;
}

// The model picker in the head of the page.

import { byId, icon, isNarrow } from '../dom.js';
import { shortName } from '../models.js';
import { openMenu } from './menu.js';

const CAPABILITY_WORDS = { vision: 'sees images', tools: 'uses tools', thinking: 'thinks first' };

const SAYS_NOTHING = ['', '0', 'none', 'unknown'];

export function mountPicker(store, models) {
	const button = byId('picker');
	const name = byId('picker-name');

	const render = () => {
		const { state, list } = store.models;
		const label = {
			loading: 'Connecting…', empty: 'No model installed', down: 'Not connected', locked: 'Key needed',
			ready: shortName(store.currentModel ?? ''),
		}[state];
		name.textContent = label;
		button.title = state === 'ready' ? 'Choose a model' : 'Try again';
		button.dataset.state = state;
		button.classList.toggle('single', state === 'ready' && list.length === 1);
	};

	button.addEventListener('click', () => {
		if (store.models.state !== 'ready') {
			models.load();
			return;
		}
		openMenu(button, 'Models', store.models.list.map((model) => ({
			label: shortName(model.name),
			hint: describe(model),
			checked: model.name === store.currentModel,
			mark: model.name === store.currentModel ? icon('check') : null,
			choose: () => store.setModel(model.name),
		})), { align: isNarrow() ? 'center' : 'start' });
	});
	store.subscribe('models', render);
	render();
}

/** "3.2B · Q4_K_M · 2.0 GB · sees images" */
function describe(model) {
	const capabilities = Array.isArray(model.capabilities) ? model.capabilities : [];
	return [
		model.parameter_size,
		model.quantization_level,
		Number(model.size) > 0 ? readableSize(Number(model.size)) : null,
		...capabilities.map((capability) => CAPABILITY_WORDS[capability]),
	].filter((part) => typeof part === 'string' && !SAYS_NOTHING.includes(part)).join(' · ');
}

function readableSize(bytes) {
	const gigabytes = bytes / 1e9;
	return gigabytes >= 0.1 ? `${gigabytes.toFixed(1)} GB` : `${Math.max(1, Math.round(bytes / 1e6))} MB`;
}

// Writes down every picture that a viewport or volume was given, with its pixels.
import { bytesReceived } from './wire.js';

export class Record {
  constructor(imageIds) {
    this.imageIds = imageIds;
    this.pictures = [];
    this.errors = [];
    this.saving = [];
  }

  /** Note what `listener` is given, and give it that. */
  listenTo(listener) {
    const { successCallback, errorCallback } = listener;
    listener.successCallback = (imageId, image) => {
      this.add(imageId, image);
      return successCallback.call(listener, imageId, image);
    };
    listener.errorCallback = (imageId, permanent, reason) => {
      if (permanent) this.errors.push(`${imageId}: ${reason}`);
      return errorCallback.call(listener, imageId, permanent, reason);
    };
  }

  add(imageId, image) {
    const pixels = image.getPixelData();
    const file = `picture-${this.pictures.length}.bin`;
    this.pictures.push({
      file,
      index: this.imageIds.indexOf(imageId),
      status: image.imageQualityStatus,
      level: image.imageFrame?.decodeLevel ?? 0,
      rows: image.rows,
      columns: image.columns,
      components: image.numberOfComponents,
      type: pixels.constructor.name,
      transferSyntax: image.transferSyntaxUID,
      bytes: bytesReceived(imageId.replace(/^wadors:/, '')),
      ...statistics(pixels),
    });
    this.saving.push(save(file, pixels.slice()));
  }

  async finished() {
    await Promise.all(this.saving);
    return { pictures: this.pictures, errors: this.errors };
  }
}

function statistics(pixels) {
  let [min, max, sum] = [Infinity, -Infinity, 0];
  for (const pixel of pixels) {
    min = Math.min(min, pixel);
    max = Math.max(max, pixel);
    sum += pixel;
  }
  return { min, max, mean: sum / pixels.length };
}

async function save(name, pixels) {
  const response = await fetch(`results/${name}`, { method: 'PUT', body: pixels });
  if (!response.ok) throw new Error(`${name} was not saved: status ${response.status}`);
}

"""Pictures of many images."""

from matplotlib import pyplot as plt


def make_grid(images, nrow=8, **options):
    images = images.detach()
    return images.expand(-1, 3, -1, -1).permute(1, 2, 0, 3).flatten(2)


def save_image(images, path, **options):
    plt.imsave(path, make_grid(images).permute(1, 2, 0).clamp(0, 1).numpy())
